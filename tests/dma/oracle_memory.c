// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of the DMA oracle: the arena, the file and the huge page as a
 * sequence finds them, and the steps that change what is underneath: unmapping,
 * mapping, moving, discarding, punching holes, writing, children that share it.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "oracle.h"

static pid_t child;

unsigned char *slot_va(unsigned int slot)
{
	if (slot == STAGE_SLOT)
		return stage_page;
	return slot < BIG ? arena + slot * PAGE : big + (slot - BIG) * PAGE;
}

void memory_reserve(void)
{
	unsigned char *p;

	file = memfd_create("oracle", MFD_CLOEXEC);
	must("memfd", file >= 0 && !ftruncate(file, NR_FILE * PAGE));
	file_view = mmap(NULL, NR_FILE * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED, file, 0);
	p = mmap(NULL, 8 * MiB, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must("memory", file_view != MAP_FAILED && p != MAP_FAILED);
	p = (void *)(((uintptr_t)p + 2 * MiB - 1) & ~(2 * MiB - 1));
	big = p + 2 * MiB;
	arena = p;
	stage_page = pages_alloc(PAGE);
	must("stage", !!stage_page);
}

void memory_begin(void)
{
	unsigned int i;

	must("arena", mmap(arena, NR_SMALL * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == arena);
	madvise(arena, NR_SMALL * PAGE, MADV_NOHUGEPAGE);
	must("cut", !ftruncate(file, 0) && !ftruncate(file, NR_FILE * PAGE));
	nr_pages = 0;
	for (i = 0; i < NR_FILE; i++) {
		file_page[i] = page_new(file_view + i * PAGE);
		page_paint(file_page[i]);
	}
	for (i = 0; i < NR_SMALL; i++) {
		slot_private(i);
		page_paint(slots[i].at);
	}
	memset(stage_page, 0, PAGE);
	slot_private(STAGE_SLOT);
	for (i = BIG; i < BIG + NR_BIG; i++)
		slots[i].kind = EMPTY;
	use_big = !below(4);
	if (!use_big)
		return;
	must("big", mmap(big, 2 * MiB, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == big);
	madvise(big, 2 * MiB, MADV_HUGEPAGE);
	for (i = BIG; i < BIG + NR_BIG; i++) {
		slot_private(i);
		page_paint(slots[i].at);
	}
}

void child_end(void)
{
	if (!child)
		return;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	child = 0;
}

/* A process that has copies of all memory, and writes to them or does not. */
static void child_begin(bool writes, bool stays)
{
	unsigned int i;

	child_end();
	child = fork();
	must("fork", child >= 0);
	if (child)
		goto out;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; writes && i < NR_SMALL; i++)
		if (slots[i].kind == PRIVATE)
			memset(slot_va(i), 0xcc, PAGE);
	while (stays)
		pause();
	_exit(0);
out:
	if (!stays) {
		waitpid(child, NULL, 0);
		child = 0;
	}
}

/* ---- steps ---- */

void step_munmap(void)
{
	unsigned int first = below(NR_SMALL), i;
	unsigned int nr = draw_length(NR_SMALL - first);

	tell("munmap slots %u+%u", first, nr);
	must("munmap", !munmap(slot_va(first), nr * PAGE));
	for (i = first; i < first + nr; i++)
		slot_empty(i);
}

void step_mmap(void)
{
	unsigned int first = below(NR_SMALL), i;
	unsigned int nr = draw_length(NR_SMALL - first);

	tell("mmap slots %u+%u", first, nr);
	must("mmap", mmap(slot_va(first), nr * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		     MAP_FAILED);
	madvise(slot_va(first), nr * PAGE, MADV_NOHUGEPAGE);
	for (i = first; i < first + nr; i++) {
		slot_empty(i);
		slot_private(i);
		if (below(2))
			page_paint(slots[i].at);
	}
}

void step_mmap_file(void)
{
	unsigned int first = below(NR_SMALL), i, nr;
	unsigned int at = below(NR_FILE);

	nr = draw_length(NR_SMALL - first);
	nr = nr < NR_FILE - at ? nr : NR_FILE - at;
	tell("mmap slots %u+%u of the file, page %u", first, nr, at);
	must("mmap", mmap(slot_va(first), nr * PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_FIXED, file, at * PAGE) !=
		     MAP_FAILED);
	for (i = first; i < first + nr; i++) {
		slot_empty(i);
		slots[i].kind = SHARED;
		slots[i].at = at + i - first;
	}
}

void step_mremap(void)
{
	unsigned int nr = 1 + below(6), i;
	unsigned int from = below(NR_SMALL - nr), to = below(NR_SMALL - nr);

	tell("mremap slots %u+%u to %u", from, nr, to);
	for (i = 0; i < nr; i++) {
		if (slots[from + i].kind == EMPTY || from == to)
			continue;
		must("mremap", mremap(slot_va(from + i), PAGE, PAGE,
				      MREMAP_MAYMOVE | MREMAP_FIXED,
				      slot_va(to + i)) != MAP_FAILED);
		slot_empty(to + i);
		slots[to + i] = slots[from + i];
		slots[from + i].kind = EMPTY;
		if (slots[to + i].kind == PRIVATE)
			pages[slots[to + i].at].view = slot_va(to + i);
	}
}

void step_discard(void)
{
	unsigned int slot = below(use_big && !below(4) ? BIG + NR_BIG : NR_SMALL);

	if (slots[slot].kind != PRIVATE)
		return;
	tell("discard slot %u", slot);
	must("madvise", !madvise(slot_va(slot), PAGE, MADV_DONTNEED));
	slot_empty(slot);
	slot_private(slot);
}

void step_punch(void)
{
	unsigned int i = below(NR_FILE);

	tell("punch page %u of the file", i);
	must("fallocate", !fallocate(file, FALLOC_FL_PUNCH_HOLE |
				     FALLOC_FL_KEEP_SIZE, i * PAGE, PAGE));
	page_lose(file_page[i]);
	file_page[i] = page_new(file_view + i * PAGE);
}

void step_write(void)
{
	unsigned int first = below(use_big && !below(4) ? BIG + NR_BIG : NR_SMALL);
	unsigned int nr = 1 + below(6), i;

	tell("write slots %u+%u", first, nr);
	for (i = first; i < first + nr && i < STAGE_SLOT; i++) {
		if (slots[i].kind == PRIVATE)
			page_paint(slots[i].at);
		else if (slots[i].kind == SHARED)
			page_paint(file_page[slots[i].at]);
	}
}

void step_fork(void)
{
	bool writes = below(2), stays = below(2);

	tell("fork a child that %s and %s", writes ? "writes" : "looks on",
	     stays ? "stays" : "goes");
	child_begin(writes, stays);
}

/* What was freed is used by somebody else. */
void step_churn(void)
{
	void *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must("churn", p != MAP_FAILED);
	memset(p, 0xee, 64 * PAGE);
	munmap(p, 64 * PAGE);
	tell("churn");
}
