// SPDX-License-Identifier: GPL-2.0
/*
 * No DMA reaches a page that the model does not allow: random sequences of all
 * that changes what a device reaches, and a model that says after each step
 * what is to be found at every IOVA.
 *
 *	dma_oracle edu|mock [edu...]
 *
 * "edu" is a real device with a real page table: it reads and writes 16 bytes at
 * IOVAs in, at the edges of and outside the mappings, and all memory is compared
 * with what the model says it holds. "mock" looks the same IOVAs up in the page
 * tables of fake devices (needs test modules). Best with a device of which time
 * is skipped: tests/vm/run --icount.
 *
 * The model. A page is a page of memory, wherever it is seen: it has the content
 * that it should have (a copy), and an address where the CPU sees it, or none
 * once that was unmapped, discarded or cut out of the file. The arena is a row of
 * slots, each a page of address space: empty, private memory, or a page of the
 * file. A span is what was given to one MAP or MAP_FILE: of each of its pages it
 * knows how many areas that are in some page table need it, and, from the first
 * of them until the last, which page was there. An area is a piece of a span at
 * an IOVA of an IOAS; a table shows all areas of its IOAS.
 *
 * Step i of sequence s depends on s, i and the model alone, so that a sequence
 * that fails can be repeated, and shortened: ORACLE_SEED=s ORACLE_STEPS=n; steps
 * are then left out one after the other as long as it still fails.
 *
 *	ORACLE_SEQUENCES  how many (300)
 *	ORACLE_SEED	  the first one's number (1)
 *	ORACLE_STEPS	  at most so many steps in each (48)
 *	ORACLE_VERBOSE	  tell all steps
 *	ORACLE_STOP	  end at the first that fails, and do not shorten it
 */
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "edu.h"
#include "../kselftest/mock_utils.h"

#define WINDOW		0x40000UL	/* the IOVAs of mappings, in pages */
#define WINDOW_SMALL	96U
#define WINDOW_BIG	1024U		/* from here to the end: large pages */
#define WINDOW_PAGES	2560U
#define STAGE		0x3f000UL	/* the stage's IOVA, in pages */

#define NR_SMALL	64U
#define NR_BIG		512U
#define BIG		NR_SMALL	/* slots of a huge page */
#define NR_SLOTS	(NR_SMALL + NR_BIG + 1)
#define STAGE_SLOT	(NR_SLOTS - 1)
#define NR_FILE		32U

#define MAX_PAGES	8192U
#define MAX_IOAS	3U
#define MAX_AREAS	40U
#define MAX_TABLES	8U
#define MAX_DEVICES	2U
#define MAX_STEPS	64U
#define NR_GONE		24U
#define RECORD		16U
#define NONE		(-1)

struct page {
	unsigned char *content;
	unsigned char *view;
};

struct slot {
	enum { EMPTY, PRIVATE, SHARED } kind;
	int at;				/* a page, or an index in the file */
};

struct span {
	unsigned int users;
	bool file, writable;
	unsigned int first, nr;
	unsigned int need[NR_BIG];
	int page[NR_BIG];
};

struct area {
	uint64_t iova;			/* in pages */
	unsigned int offset, nr;
	uint32_t perm;
	struct span *span;
};

struct ioas {
	bool used;
	uint32_t id;
	unsigned int tables, nr;
	struct area areas[MAX_AREAS];
};

struct table {
	bool used, automatic;
	uint32_t id;
	unsigned int ioas, unit, users;
};

struct device {
	unsigned int nr, unit;
	int table;
	uint32_t id;			/* good for HWPT_ALLOC; 0: none */
	/* edu */
	int fd;
	struct edu edu;
	bool stale;			/* slots 8 and 9 to be looked at */
	/* mock */
	struct stdev stdev;
};

/* Where something was, and what. */
struct gone {
	uint64_t iova;
	unsigned int nr;
	int page;			/* the first */
};

static struct page pages[MAX_PAGES];
static struct slot slots[NR_SLOTS];
static struct ioas ioases[MAX_IOAS];
static struct table tables[MAX_TABLES];
static struct device devices[MAX_DEVICES];
static struct gone gone[NR_GONE];
static unsigned int nr_pages, nr_devices, nr_gone;
static int file_page[NR_FILE];

static unsigned char *arena, *big, *stage_page, *file_view;
static int iommufd = -1, file = -1;
static bool mock, use_big, verbose, amd;
static pid_t child;
static long pins_before;
static uint64_t rng;
static char why[512];
static unsigned int step;
static bool skipped[MAX_STEPS];
static char told[MAX_STEPS][160];
static struct {
	unsigned long sequences, steps, ok, refused, allowed, blocked, compared;
} total;

/* ---- chance ---- */

static uint64_t next64(void)
{
	uint64_t z = (rng += 0x9e3779b97f4a7c15UL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
	return z ^ (z >> 31);
}

static unsigned int below(unsigned int n)
{
	return next64() % n;
}

/* ---- what went wrong ---- */

__attribute__((format(printf, 1, 2)))
static void wrong(const char *format, ...)
{
	va_list args;

	if (why[0])
		return;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
}

__attribute__((format(printf, 1, 2)))
static void tell(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(told[step], sizeof(told[step]), format, args);
	va_end(args);
}

/* An errno that the model expects; 0 ends the list, an empty one is success. */
struct expected {
	int errors[8];
	unsigned int nr;
};

static void expect(struct expected *e, bool condition, int error)
{
	if (condition)
		e->errors[e->nr++] = error;
}

/* The model does not know how full it is where the kernel chooses an IOVA. */
static bool full(bool fixed, int rc)
{
	if (fixed || rc != -ENOSPC)
		return false;
	total.refused++;
	return true;
}

/* True when it succeeded as it should have. */
static bool judge(const struct expected *e, int rc)
{
	char *end = told[step] + strlen(told[step]);
	unsigned int i;

	snprintf(end, told[step] + sizeof(told[step]) - end, " = %d", rc);
	if (rc >= 0) {
		total.ok++;
		if (!e->nr)
			return true;
		wrong("succeeded, the model says %s", strerror(e->errors[0]));
		return false;
	}
	total.refused++;
	for (i = 0; i < e->nr; i++)
		if (rc == -e->errors[i])
			return false;
	wrong("%s, the model says %s", strerror(-rc),
	      e->nr ? strerror(e->errors[0]) : "success");
	return false;
}

/* ---- memory ---- */

static unsigned char *slot_va(unsigned int slot)
{
	if (slot == STAGE_SLOT)
		return stage_page;
	return slot < BIG ? arena + slot * PAGE : big + (slot - BIG) * PAGE;
}

static int page_new(unsigned char *view)
{
	struct page *page = &pages[nr_pages];

	if (nr_pages == MAX_PAGES)
		exit(2);
	if (!page->content)
		page->content = malloc(PAGE);
	memset(page->content, 0, PAGE);
	page->view = view;
	return nr_pages++;
}

/* Records that tell which page, which content of it, and where in it. */
static void record(unsigned char *p, unsigned int offset)
{
	static uint32_t tags;
	uint32_t words[4] = { 0x07a61e00, ++tags, offset, ~tags };

	memcpy(p, words, RECORD);
}

static void page_paint(int nr)
{
	struct page *page = &pages[nr];
	unsigned int i;

	for (i = 0; i < PAGE; i += RECORD)
		record(page->content + i, i);
	memcpy(page->view, page->content, PAGE);
}

static void page_lose(int nr)
{
	pages[nr].view = NULL;
}

static void slot_empty(unsigned int slot)
{
	if (slots[slot].kind == PRIVATE)
		page_lose(slots[slot].at);
	slots[slot].kind = EMPTY;
}

static int slot_page(unsigned int slot)
{
	switch (slots[slot].kind) {
	case PRIVATE:
		return slots[slot].at;
	case SHARED:
		return file_page[slots[slot].at];
	default:
		return NONE;
	}
}

static void slot_private(unsigned int slot)
{
	slots[slot].kind = PRIVATE;
	slots[slot].at = page_new(slot_va(slot));
}

static void must(const char *what, bool ok)
{
	if (ok)
		return;
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void memory_begin(void)
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

static void child_end(void)
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

/* ---- the model of pins ---- */

static int span_page(const struct span *span, unsigned int i)
{
	return span->file ? file_page[span->first + i] :
			    slot_page(span->first + i);
}

/* Could all pages of an area be found? */
static bool area_present(const struct area *area)
{
	const struct span *span = area->span;
	unsigned int i;

	for (i = area->offset; i < area->offset + area->nr; i++)
		if (!span->need[i] && span_page(span, i) == NONE)
			return false;
	return true;
}

static void area_pin(const struct area *area)
{
	struct span *span = area->span;
	unsigned int i;

	for (i = area->offset; i < area->offset + area->nr; i++)
		if (!span->need[i]++)
			span->page[i] = span_page(span, i);
}

static void area_unpin(const struct area *area)
{
	unsigned int i;

	for (i = area->offset; i < area->offset + area->nr; i++)
		area->span->need[i]--;
}

static void area_remember(const struct area *area)
{
	struct gone *g = &gone[nr_gone++ % NR_GONE];
	const struct span *span = area->span;

	g->iova = area->iova;
	g->nr = area->nr;
	g->page = span->page[area->offset];
}

static bool ioas_present(const struct ioas *ioas)
{
	unsigned int i;

	for (i = 0; i < ioas->nr; i++)
		if (!area_present(&ioas->areas[i]))
			return false;
	return true;
}

static void ioas_get_table(struct ioas *ioas)
{
	unsigned int i;

	if (!ioas->tables++)
		for (i = 0; i < ioas->nr; i++)
			area_pin(&ioas->areas[i]);
}

static void ioas_put_table(struct ioas *ioas)
{
	unsigned int i;

	if (--ioas->tables)
		return;
	for (i = 0; i < ioas->nr; i++) {
		area_remember(&ioas->areas[i]);
		area_unpin(&ioas->areas[i]);
	}
}

static void span_put(struct span *span)
{
	if (!--span->users)
		free(span);
}

/* The span's reference moves into the area. */
static void area_add(struct ioas *ioas, struct span *span, uint64_t iova,
		     unsigned int offset, unsigned int nr, uint32_t perm)
{
	struct area *area = &ioas->areas[ioas->nr++];

	*area = (struct area){ iova, offset, nr, perm, span };
	if (ioas->tables)
		area_pin(area);
}

static void area_remove(struct ioas *ioas, unsigned int i)
{
	struct area *area = &ioas->areas[i];

	if (ioas->tables) {
		area_remember(area);
		area_unpin(area);
	}
	span_put(area->span);
	*area = ioas->areas[--ioas->nr];
}

static struct area *area_at(struct ioas *ioas, uint64_t iova)
{
	unsigned int i;

	for (i = 0; i < ioas->nr; i++)
		if (iova - ioas->areas[i].iova < ioas->areas[i].nr)
			return &ioas->areas[i];
	return NULL;
}

static bool ioas_meets(const struct ioas *ioas, uint64_t iova, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < ioas->nr; i++)
		if (iova < ioas->areas[i].iova + ioas->areas[i].nr &&
		    ioas->areas[i].iova < iova + nr)
			return true;
	return false;
}

/* Each page of each span is pinned once, however many need it. */
static long pins_expected(void)
{
	static struct span *seen[MAX_IOAS * MAX_AREAS];
	unsigned int i, j, k, n = 0;
	long pins = 0;

	for (i = 0; i < MAX_IOAS; i++) {
		for (j = 0; ioases[i].used && j < ioases[i].nr; j++) {
			struct span *span = ioases[i].areas[j].span;

			for (k = 0; k < n && seen[k] != span; k++)
				;
			if (k < n)
				continue;
			seen[n++] = span;
			for (k = 0; k < span->nr; k++)
				pins += !!span->need[k];
		}
	}
	return pins;
}

/* ---- probes ---- */

static struct area *random_area(void)
{
	struct ioas *ioas = &ioases[below(MAX_IOAS)];

	return ioas->used && ioas->nr ? &ioas->areas[below(ioas->nr)] : NULL;
}

static uint64_t draw_edge(uint64_t iova, unsigned int nr)
{
	switch (below(6)) {
	case 0:
		return iova;
	case 1:
		return iova + nr - 1;
	case 2:
		return iova - 1;
	case 3:
		return iova + nr;
	default:
		return iova + below(nr);
	}
}

/* An IOVA, in pages: in or near what is or was mapped, or anywhere. */
static uint64_t draw_iova(void)
{
	struct area *area = random_area();
	struct gone *g = &gone[below(NR_GONE)];
	unsigned int kind = below(16);

	if (kind < 8 && area)
		return draw_edge(area->iova, area->nr);
	if (kind < 12 && g->nr)
		return draw_edge(g->iova, g->nr);
	if (kind < 15)
		return WINDOW + below(kind & 1 ? WINDOW_SMALL : WINDOW_PAGES);
	return below(0x80000);
}

/* The page that a device reaches there, or NONE. @perm: what it may do. */
static int lookup(const struct device *device, uint64_t iova, uint32_t *perm)
{
	struct area *area;

	if (device->table == NONE)
		return NONE;
	area = area_at(&ioases[tables[device->table].ioas], iova);
	if (!area)
		return NONE;
	*perm = area->perm;
	/* 6.1: Intel's driver lets a device read whatever it may write. */
	if (!amd && (*perm & WR))
		*perm |= RD;
	return area->span->page[area->offset + iova - area->iova];
}

/* All memory that the CPU sees is as it should be. */
static void compare(unsigned int from, unsigned int end, const char *what)
{
	unsigned int i, j;

	for (i = from; i < end && !why[0]; i++) {
		if (!pages[i].view ||
		    !memcmp(pages[i].view, pages[i].content, PAGE))
			continue;
		for (j = 0; pages[i].view[j] == pages[i].content[j]; j++)
			;
		wrong("%s: page %u changed at offset %#x", what, i, j);
	}
	total.compared += end - from;
}

static void compare_all(const char *what, bool huge)
{
	unsigned int first = NR_FILE + NR_SMALL + 1;

	compare(0, first, what);
	if (use_big) {
		if (huge)
			compare(first, first + NR_BIG, what);
		first += NR_BIG;
	}
	compare(first, nr_pages, what);
}

/* ---- probes by DMA ---- */

static void move(struct device *device, bool to_ram, uint64_t iova,
		 unsigned int offset, unsigned int count)
{
	unsigned long buffer = EDU_BUFFER + offset;
	int i;

	edu_write64(&device->edu, EDU_DMA_SRC, to_ram ? buffer : iova);
	edu_write64(&device->edu, EDU_DMA_DST, to_ram ? iova : buffer);
	edu_write64(&device->edu, EDU_DMA_COUNT, count);
	edu_write64(&device->edu, EDU_DMA_CMD,
		    EDU_DMA_RUN | (to_ram ? EDU_DMA_TO_RAM : 0));
	usleep(100500);
	for (i = 0; edu_busy(&device->edu); i++) {
		if (i == 5000)
			return wrong("device %u does not end", device->nr);
		usleep(2000);
	}
}

/* Neither the poison from before nor nothing: then it came from somewhere. */
static bool came_from_memory(const unsigned char *p)
{
	unsigned int i;

	for (i = 1; i < RECORD; i++)
		if (p[i] != p[0])
			return true;
	return p[0] != 0xdd && p[0];
}

/* A device buffer of slots: 0 to 7 to be read into, 8 and 9 detached, then. */
#define NR_READS	6U
#define NR_WRITES	3U
#define FIRST_STALE	8U
#define FIRST_WRITE	10U
#define BUFFER		((FIRST_WRITE + NR_WRITES) * RECORD)

static void stage_in(struct device *device)
{
	unsigned char *stage = slot_va(STAGE_SLOT);
	struct page *page = &pages[slots[STAGE_SLOT].at];

	move(device, true, STAGE * PAGE, 0, BUFFER);
	memcpy(page->content, stage, PAGE);
}

static void look_at_stale(struct device *device)
{
	unsigned int i;

	if (!device->stale)
		return;
	device->stale = false;
	stage_in(device);
	for (i = FIRST_STALE; i < FIRST_STALE + 2; i++)
		if (came_from_memory(slot_va(STAGE_SLOT) + i * RECORD))
			wrong("device %u read memory while it was detached",
			      device->nr);
}

static void probe_detached(struct device *device)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		move(device, false, draw_iova() * PAGE + below(256) * RECORD,
		     (FIRST_STALE + i) * RECORD, RECORD);
	device->stale = true;
	for (i = 0; i < NR_WRITES; i++)
		move(device, true, draw_iova() * PAGE + below(256) * RECORD,
		     (FIRST_WRITE + i) * RECORD, RECORD);
	compare_all("written by a detached device", false);
	total.blocked += 2 + NR_WRITES;
}

static void probe_edu(struct device *device)
{
	unsigned char want[NR_READS][RECORD], *stage = slot_va(STAGE_SLOT);
	struct page *page = &pages[slots[STAGE_SLOT].at];
	uint64_t iovas[NR_READS];
	bool reaches[NR_READS];
	unsigned int i, offset;
	uint32_t perm;
	int nr;

	if (device->table == NONE)
		return probe_detached(device);
	look_at_stale(device);
	memset(stage, 0xdd, FIRST_WRITE * RECORD);
	for (i = 0; i < NR_WRITES; i++)
		record(stage + (FIRST_WRITE + i) * RECORD, i);
	memcpy(page->content, stage, PAGE);
	move(device, false, STAGE * PAGE, 0, BUFFER);

	for (i = 0; i < NR_READS; i++) {
		offset = below(4) ? below(256) * RECORD : PAGE - RECORD;
		iovas[i] = draw_iova();
		nr = lookup(device, iovas[i], &perm);
		reaches[i] = nr != NONE && perm & RD;
		if (reaches[i])
			memcpy(want[i], pages[nr].content + offset, RECORD);
		move(device, false, iovas[i] * PAGE + offset, i * RECORD,
		     RECORD);
	}
	for (i = 0; i < NR_WRITES; i++) {
		uint64_t iova = draw_iova();

		offset = below(256) * RECORD;
		nr = lookup(device, iova, &perm);
		if (iova == STAGE)
			continue;
		move(device, true, iova * PAGE + offset,
		     (FIRST_WRITE + i) * RECORD, RECORD);
		if (nr != NONE && perm & WR) {
			memcpy(pages[nr].content + offset,
			       stage + (FIRST_WRITE + i) * RECORD, RECORD);
			total.allowed++;
			if (pages[nr].view &&
			    memcmp(pages[nr].view, pages[nr].content, PAGE))
				wrong("device %u, table %u: write to %#lx did not reach page %d",
				      device->nr, tables[device->table].id,
				      iova * PAGE + offset, nr);
		} else {
			total.blocked++;
		}
	}
	compare_all("written by a device", false);
	stage_in(device);
	for (i = 0; i < NR_READS; i++) {
		unsigned char *got = stage + i * RECORD;

		if (reaches[i]) {
			total.allowed++;
			if (memcmp(got, want[i], RECORD))
				wrong("device %u, table %u: read of %#lx was not that of its page",
				      device->nr, tables[device->table].id,
				      iovas[i] * PAGE);
		} else {
			total.blocked++;
			if (came_from_memory(got))
				wrong("device %u, table %u: read of %#lx reached memory",
				      device->nr, tables[device->table].id,
				      iovas[i] * PAGE);
		}
	}
}

/* ---- probes of a page table ---- */

static bool leads_to(uint32_t table, uint64_t iova, int nr)
{
	return !check_map(iommufd, table, iova * PAGE, PAGE, pages[nr].view);
}

static void probe_mock(struct device *device)
{
	unsigned int i, j;
	uint32_t perm, id;
	int nr, other;

	if (device->table == NONE)
		return;
	id = tables[device->table].id;
	for (i = 0; i < 12; i++) {
		uint64_t iova = draw_iova();

		nr = lookup(device, iova, &perm);
		if (nr != NONE && pages[nr].view) {
			total.allowed++;
			if (!leads_to(id, iova, nr))
				wrong("table %u: %#lx does not lead to page %d",
				      id, iova * PAGE, nr);
			continue;
		}
		total.blocked++;
		/* Nothing else: what was there, and whatever. */
		for (j = 0; j < NR_GONE + 4; j++) {
			if (j < NR_GONE) {
				if (iova - gone[j].iova >= gone[j].nr)
					continue;
				other = gone[j].page + iova - gone[j].iova;
			} else {
				other = below(nr_pages);
			}
			if (other >= nr_pages || other == nr ||
			    !pages[other].view)
				continue;
			if (leads_to(id, iova, other))
				wrong("table %u: %#lx leads to page %d",
				      id, iova * PAGE, other);
		}
	}
}

static void probe(bool huge)
{
	long pins = pinned_now() - pins_before;
	unsigned int i;

	if (pins != pins_expected())
		wrong("%ld pages are pinned, the model says %ld", pins,
		      pins_expected());
	for (i = 0; i < nr_devices && !why[0]; i++) {
		if (mock)
			probe_mock(&devices[i]);
		else
			probe_edu(&devices[i]);
	}
	if (huge)
		compare_all("at the end", true);
}

/* ---- steps: address spaces ---- */

static struct ioas *pick_ioas(void)
{
	struct ioas *ioas = &ioases[below(MAX_IOAS)];

	return ioas->used ? ioas : &ioases[0];
}

static uint32_t draw_perm(void)
{
	static const uint32_t perms[] = { RW, RW, RW, RD, RD, WR };

	return perms[below(6)];
}

/* What is mapped anew. @nr is out, too: it fits. */
static uint64_t draw_place(unsigned int nr)
{
	if (nr > WINDOW_SMALL / 2)
		return WINDOW + WINDOW_BIG + below(3) * NR_BIG +
		       (below(2) ? 0 : below(NR_BIG));
	return WINDOW + below(WINDOW_SMALL - nr + 1);
}

static unsigned int draw_length(unsigned int room)
{
	unsigned int nr = 1 + below(below(3) ? 4 : 24);

	return nr < room ? nr : room;
}

static void map(struct ioas *ioas, bool of_file, unsigned int first,
		unsigned int nr, uint32_t perm, bool fixed, uint64_t iova)
{
	struct span *span = calloc(1, sizeof(*span));
	struct area area = { iova, 0, nr, perm, span };
	uint64_t at = iova * PAGE;
	struct expected e = {};
	int rc;

	span->users = 1;
	span->file = of_file;
	span->writable = perm & WR;
	span->first = first;
	span->nr = nr;
	expect(&e, fixed && ioas_meets(ioas, iova, nr), EEXIST);
	expect(&e, ioas->tables && !area_present(&area), EFAULT);
	if (of_file)
		rc = ioas_map_file(iommufd, ioas->id, perm | (fixed ? FIXED : 0),
				   file, first * PAGE, nr * PAGE, &at);
	else
		rc = ioas_map(iommufd, ioas->id, perm | (fixed ? FIXED : 0),
			      slot_va(first), nr * PAGE, &at);
	tell("ioas %u: map %s %u+%u perm %u at %#lx%s", ioas->id,
	     of_file ? "file" : "slots", first, nr, perm, at,
	     fixed ? "" : " (chosen)");
	if (full(fixed, rc) || !judge(&e, rc)) {
		free(span);
		return;
	}
	if (!fixed && (at % PAGE || at / PAGE < WINDOW ||
		       at / PAGE + nr > WINDOW + WINDOW_PAGES ||
		       ioas_meets(ioas, at / PAGE, nr)))
		wrong("it chose %#lx", at);
	area_add(ioas, span, at / PAGE, 0, nr, perm);
}

static void step_map(void)
{
	struct ioas *ioas = pick_ioas();
	unsigned int nr, first;

	if (ioas->nr == MAX_AREAS)
		return;
	if (use_big && !below(4)) {
		nr = below(2) ? NR_BIG : 64 + below(NR_BIG - 64);
		first = BIG + below(NR_BIG - nr + 1);
	} else {
		first = below(NR_SMALL);
		nr = draw_length(NR_SMALL - first);
	}
	map(ioas, false, first, nr, draw_perm(), below(4), draw_place(nr));
}

static void step_map_file(void)
{
	struct ioas *ioas = pick_ioas();
	unsigned int first = below(NR_FILE), nr = draw_length(NR_FILE - first);

	if (ioas->nr < MAX_AREAS)
		map(ioas, true, first, nr, draw_perm(), below(4),
		    draw_place(nr));
}

static void step_unmap(void)
{
	struct ioas *ioas = pick_ioas();
	unsigned int i, sticks = 0, inside = 0;
	uint64_t start, end, length = 0, got = 0;
	struct expected e = {};
	int rc;

	i = below(ioas->nr);		/* the stage is always there */
	start = ioas->areas[i].iova;
	end = start + ioas->areas[i].nr;
	switch (below(8)) {
	case 0:
		start += below(ioas->areas[i].nr);
		break;
	case 1:
		end -= below(ioas->areas[i].nr);
		break;
	case 2:
		start = WINDOW + below(WINDOW_PAGES);
		end = start + 1 + below(WINDOW_SMALL);
		break;
	case 3:
		start -= below(8);
		end += below(8);
		break;
	case 4:
		start = WINDOW;
		end = WINDOW + WINDOW_PAGES;
		break;
	}
	if (start <= STAGE)
		return;
	for (i = 0; i < ioas->nr; i++) {
		struct area *a = &ioas->areas[i];

		if (a->iova >= end || a->iova + a->nr <= start)
			continue;
		if (a->iova < start || a->iova + a->nr > end)
			sticks++;
		inside++;
		length += a->nr;
	}
	expect(&e, sticks || !inside, ENOENT);
	rc = ioas_unmap(iommufd, ioas->id, start * PAGE, (end - start) * PAGE,
			&got);
	tell("ioas %u: unmap %#lx+%lu", ioas->id, start * PAGE, end - start);
	if (!judge(&e, rc))
		return;
	if (got != length * PAGE)
		wrong("%#lx bytes unmapped, the model says %#lx", got,
		      length * PAGE);
	for (i = ioas->nr; i--;)
		if (ioas->areas[i].iova >= start && ioas->areas[i].iova < end)
			area_remove(ioas, i);
}

static void step_copy(void)
{
	struct ioas *src = pick_ioas(), *dst = pick_ioas();
	struct area *a = &src->areas[below(src->nr)], *from;
	uint64_t start = a->iova, end = start + a->nr, iova, place;
	bool fixed = below(4), gap = false, denied = false, missing = false;
	struct area chain[MAX_AREAS];
	uint32_t perm = draw_perm();
	struct expected e = {};
	unsigned int i, n = 0;
	int rc;

	if (below(3)) {
		start += below(a->nr);
		end -= below(end - start);
	} else if (below(2)) {
		end += below(6);
	}
	if (start <= STAGE)
		return;
	for (iova = start; iova < end; iova = from->iova + from->nr) {
		from = area_at(src, iova);
		if (!from) {
			gap = true;
			break;
		}
		denied |= (perm & WR) && !from->span->writable;
		chain[n].span = from->span;
		chain[n].offset = from->offset + iova - from->iova;
		chain[n].iova = iova - start;
		chain[n].nr = from->iova + from->nr - iova;
		if (from->iova + from->nr > end)
			chain[n].nr = end - iova;
		missing |= dst->tables && !area_present(&chain[n]);
		n++;
	}
	if (dst->nr + n > MAX_AREAS)
		return;
	place = draw_place(end - start);
	expect(&e, gap, ENOENT);
	expect(&e, denied, EPERM);
	expect(&e, fixed && ioas_meets(dst, place, end - start), EEXIST);
	expect(&e, missing, EFAULT);
	place *= PAGE;
	rc = ioas_copy(iommufd, perm | (fixed ? FIXED : 0), dst->id, &place,
		       src->id, start * PAGE, (end - start) * PAGE);
	tell("ioas %u: copy %#lx+%lu perm %u of ioas %u to %#lx%s", dst->id,
	     start * PAGE, end - start, perm, src->id, place,
	     fixed ? "" : " (chosen)");
	if (full(fixed, rc) || !judge(&e, rc))
		return;
	if (place % PAGE || ioas_meets(dst, place / PAGE, end - start))
		wrong("it chose %#lx", place);
	for (i = 0; i < n; i++) {
		chain[i].span->users++;
		area_add(dst, chain[i].span, place / PAGE + chain[i].iova,
			 chain[i].offset, chain[i].nr, perm);
	}
}

static void ioas_begin(struct ioas *ioas)
{
	struct iommu_iova_range range = {
		.start = WINDOW * PAGE,
		.last = (WINDOW + WINDOW_PAGES) * PAGE - 1,
	};

	ioas->nr = 0;
	ioas->tables = 0;
	must("ioas", !ioas_alloc(iommufd, &ioas->id));
	must("allow", !ioas_allow(iommufd, ioas->id, &range, 1));
	if (!below(4))
		must("option", !set_huge_pages(iommufd, ioas->id, 0));
	ioas->used = true;
	map(ioas, false, STAGE_SLOT, 1, RW, true, STAGE);
}

static void step_ioas(void)
{
	struct ioas *ioas = &ioases[below(MAX_IOAS)];
	struct expected e = {};

	if (!ioas->used)
		return ioas_begin(ioas);
	if (ioas == &ioases[0] || below(4))
		return;
	expect(&e, ioas->tables, EBUSY);
	tell("ioas %u: destroy", ioas->id);
	if (!judge(&e, iommufd_destroy(iommufd, ioas->id)))
		return;
	while (ioas->nr)
		area_remove(ioas, ioas->nr - 1);
	ioas->used = false;
}

/* ---- steps: tables and devices ---- */

static int table_new(unsigned int ioas, unsigned int unit, bool automatic)
{
	unsigned int i;

	for (i = 0; i < MAX_TABLES; i++) {
		if (tables[i].used)
			continue;
		tables[i] = (struct table){
			.used = true, .automatic = automatic, .ioas = ioas,
			.unit = unit,
		};
		ioas_get_table(&ioases[ioas]);
		return i;
	}
	return NONE;
}

static void table_free(struct table *table)
{
	table->used = false;
	ioas_put_table(&ioases[table->ioas]);
}

static void table_put(int nr)
{
	if (!--tables[nr].users && tables[nr].automatic)
		table_free(&tables[nr]);
}

static unsigned int free_tables(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < MAX_TABLES; i++)
		n += !tables[i].used;
	return n;
}

static void step_hwpt(void)
{
	struct device *device = &devices[below(nr_devices)];
	struct ioas *ioas = pick_ioas();
	struct expected e = {};
	uint32_t id = 0;
	int rc, nr;

	if (!device->id || free_tables() <= MAX_DEVICES)
		return;
	expect(&e, !ioas->tables && !ioas_present(ioas), EFAULT);
	rc = hwpt_alloc(iommufd, device->id, ioas->id, &id);
	tell("ioas %u: hwpt alloc for device %u: %u", ioas->id, device->nr, id);
	if (!judge(&e, rc))
		return;
	nr = table_new(ioas - ioases, device->unit, false);
	tables[nr].id = id;
}

static void step_hwpt_destroy(void)
{
	struct table *table = &tables[below(MAX_TABLES)];
	struct expected e = {};

	if (!table->used || table->automatic)
		return;
	expect(&e, table->users, EBUSY);
	tell("hwpt %u: destroy", table->id);
	if (judge(&e, iommufd_destroy(iommufd, table->id)))
		table_free(table);
}

static int do_attach(struct device *device, uint32_t pt, uint32_t *id)
{
	int rc;

	*id = pt;
	if (!mock)
		return vfio_attach(device->fd, pt, id);
	if (device->table != NONE)
		return stdev_replace(iommufd, device->stdev.id, id);
	rc = stdev_add_to_unit(iommufd, pt, device->unit, &device->stdev);
	if (!rc) {
		*id = device->stdev.hwpt;
		device->id = device->stdev.idev;
	}
	return rc;
}

static void step_attach(void)
{
	struct device *device = &devices[below(nr_devices)];
	struct table *table = &tables[below(MAX_TABLES)];
	struct ioas *ioas = pick_ioas();
	int rc, nr = NONE, old = device->table, i;
	struct expected e = {};
	uint32_t id;

	if (table->used && !table->automatic && below(2)) {
		expect(&e, table->unit != device->unit, EINVAL);
		nr = table - tables;
		rc = do_attach(device, table->id, &id);
		tell("device %u: attach to hwpt %u: %u", device->nr, table->id,
		     id);
	} else {
		for (i = 0; i < MAX_TABLES; i++)
			if (tables[i].used && tables[i].automatic &&
			    &ioases[tables[i].ioas] == ioas &&
			    tables[i].unit == device->unit)
				nr = i;
		if (nr == NONE && !free_tables())
			return;
		expect(&e, nr == NONE && !ioas->tables && !ioas_present(ioas),
		       EFAULT);
		rc = do_attach(device, ioas->id, &id);
		tell("device %u: attach to ioas %u: hwpt %u", device->nr,
		     ioas->id, id);
	}
	if (!judge(&e, rc))
		return;
	if (nr == NONE) {
		nr = table_new(ioas - ioases, device->unit, true);
		tables[nr].id = id;
	}
	if (id != tables[nr].id)
		wrong("hwpt %u instead of %u", id, tables[nr].id);
	tables[nr].users++;
	device->table = nr;
	if (old != NONE)
		table_put(old);
}

static void device_detach(struct device *device)
{
	struct expected e = {};

	if (device->table == NONE)
		return;
	tell("device %u: detach", device->nr);
	if (!judge(&e, mock ? iommufd_destroy(iommufd, device->stdev.id) :
			      vfio_detach(device->fd)))
		return;
	if (mock)
		device->id = 0;
	table_put(device->table);
	device->table = NONE;
}

static void step_detach(void)
{
	if (!below(2))
		device_detach(&devices[below(nr_devices)]);
}

/* ---- steps: the memory underneath ---- */

static void step_munmap(void)
{
	unsigned int first = below(NR_SMALL), i;
	unsigned int nr = draw_length(NR_SMALL - first);

	tell("munmap slots %u+%u", first, nr);
	must("munmap", !munmap(slot_va(first), nr * PAGE));
	for (i = first; i < first + nr; i++)
		slot_empty(i);
}

static void step_mmap(void)
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

static void step_mmap_file(void)
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

static void step_mremap(void)
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

static void step_discard(void)
{
	unsigned int slot = below(use_big && !below(4) ? BIG + NR_BIG : NR_SMALL);

	if (slots[slot].kind != PRIVATE)
		return;
	tell("discard slot %u", slot);
	must("madvise", !madvise(slot_va(slot), PAGE, MADV_DONTNEED));
	slot_empty(slot);
	slot_private(slot);
}

static void step_punch(void)
{
	unsigned int i = below(NR_FILE);

	tell("punch page %u of the file", i);
	must("fallocate", !fallocate(file, FALLOC_FL_PUNCH_HOLE |
				     FALLOC_FL_KEEP_SIZE, i * PAGE, PAGE));
	page_lose(file_page[i]);
	file_page[i] = page_new(file_view + i * PAGE);
}

static void step_write(void)
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

static void step_fork(void)
{
	bool writes = below(2), stays = below(2);

	tell("fork a child that %s and %s", writes ? "writes" : "looks on",
	     stays ? "stays" : "goes");
	child_begin(writes, stays);
}

/* What was freed is used by somebody else. */
static void step_churn(void)
{
	void *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must("churn", p != MAP_FAILED);
	memset(p, 0xee, 64 * PAGE);
	munmap(p, 64 * PAGE);
	tell("churn");
}

static const struct {
	unsigned int weight;
	void (*run)(void);
} kinds[] = {
	{ 9, step_map }, { 4, step_map_file }, { 7, step_unmap },
	{ 7, step_copy }, { 2, step_ioas }, { 2, step_hwpt },
	{ 2, step_hwpt_destroy }, { 6, step_attach }, { 3, step_detach },
	{ 2, step_munmap }, { 2, step_mmap }, { 2, step_mmap_file },
	{ 2, step_mremap }, { 2, step_discard }, { 1, step_punch },
	{ 3, step_write }, { 1, step_fork }, { 1, step_churn },
};

/* ---- sequences ---- */

static void context_open(void)
{
	unsigned int i;

	iommufd = iommufd_open();
	must("/dev/iommu", iommufd >= 0);
	for (i = 0; i < nr_devices; i++) {
		struct device *device = &devices[i];

		device->nr = i;
		device->table = NONE;
		device->id = 0;
		device->unit = 0;
		device->stale = false;
		if (mock) {
			device->unit = i ? MOCK_UNIT_LARGE : MOCK_UNIT_ABI;
			continue;
		}
		device->fd = edu_open_nth(i);
		must("edu", device->fd >= 0);
		must("bind", !vfio_bind(device->fd, iommufd, &device->id));
		must("registers", !edu_init(&device->edu, device->fd));
	}
}

static void context_close(void)
{
	unsigned int i;

	for (i = 0; !mock && i < nr_devices; i++) {
		edu_uninit(&devices[i].edu);
		close(devices[i].fd);
	}
	close(iommufd);
	iommufd = -1;
}

/* Let the model forget everything, and the context too unless it is closed. */
static void sequence_end(bool closes)
{
	unsigned int i;

	step = MAX_STEPS - 1;
	if (closes)
		context_close();
	for (i = 0; i < nr_devices; i++) {
		if (!closes)
			device_detach(&devices[i]);
		devices[i].table = NONE;
	}
	for (i = 0; i < MAX_TABLES; i++) {
		if (tables[i].used && !closes &&
		    iommufd_destroy(iommufd, tables[i].id))
			wrong("hwpt %u cannot be destroyed", tables[i].id);
		tables[i].used = false;
	}
	for (i = 0; i < MAX_IOAS; i++) {
		if (ioases[i].used && !closes &&
		    iommufd_destroy(iommufd, ioases[i].id))
			wrong("ioas %u cannot be destroyed", ioases[i].id);
		while (ioases[i].nr) {
			ioases[i].tables = 0;
			area_remove(&ioases[i], ioases[i].nr - 1);
		}
		ioases[i].used = false;
	}
	child_end();
	if (pinned_now() != pins_before)
		wrong("%ld pages are left pinned", pinned_now() - pins_before);
}

static bool sequence_run(unsigned long seed, unsigned int steps)
{
	unsigned int i, n, choice, sum = 0;
	bool closes;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		sum += kinds[i].weight;
	why[0] = '\0';
	memset(told, 0, sizeof(told));
	memset(gone, 0, sizeof(gone));
	nr_gone = 0;
	rng = seed * 0x10001;
	pins_before = pinned_now();
	if (iommufd < 0)
		context_open();
	memory_begin();
	closes = !below(16);
	n = 12 + below(37);
	n = n < steps ? n : steps;
	for (i = 0; i < 2; i++) {
		step = MAX_STEPS - 1;
		ioas_begin(&ioases[i]);
	}
	for (step = 0; step < n && !why[0]; step++) {
		rng = seed * 0x10001 + 0x1000003UL * (step + 1);
		choice = below(sum);
		if (skipped[step])
			continue;
		for (i = 0; choice >= kinds[i].weight; i++)
			choice -= kinds[i].weight;
		kinds[i].run();
		total.steps++;
		if (verbose)
			printf("# %lu.%u %s\n", seed, step, told[step]);
		if (!why[0] && (step + 1 == n || !below(3)))
			probe(step + 1 == n);
		if (why[0])
			break;
	}
	n = step;
	total.sequences++;
	sequence_end(closes || why[0]);
	step = n;
	return !why[0];
}

/* Leave out what it fails without. */
static void shorten(unsigned long seed)
{
	unsigned int last = step, i, j;

	if (last >= MAX_STEPS - 1)
		last = MAX_STEPS - 2;
	memset(skipped, 0, sizeof(skipped));
	for (i = 0; i < last; i++) {
		skipped[i] = true;
		if (sequence_run(seed, last + 1))
			skipped[i] = false;
	}
	sequence_run(seed, last + 1);
	for (j = 0; j <= last; j++)
		if (!skipped[j] && told[j][0])
			printf("#   %s\n", told[j]);
	printf("#   then: %s\n", why[0] ? why : "not again");
	memset(skipped, 0, sizeof(skipped));
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

static void memory_reserve(void)
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

/* Sequences that are a test. */
#define PART	50U

int main(int argc, char **argv)
{
	unsigned long seed = setting("ORACLE_SEED", 1), s, first;
	unsigned long nr = setting("ORACLE_SEQUENCES", 300);
	unsigned int steps = setting("ORACLE_STEPS", 48), failed = 0, test = 0;
	time_t start = time(NULL);

	if (argc < 2 || argc - 1 > MAX_DEVICES)
		return 2;
	if (steps > MAX_STEPS - 2)
		steps = MAX_STEPS - 2;
	mock = !strcmp(argv[1], "mock");
	nr_devices = argc - 1;
	verbose = !!getenv("ORACLE_VERBOSE");
	amd = access("/sys/class/iommu/dmar0", F_OK) != 0;
	setlinebuf(stdout);
	memory_reserve();
	printf("TAP version 13\n1..%lu\n", (nr + PART - 1) / PART);
	for (first = 0; first < nr; first += PART) {
		unsigned long end = first + PART < nr ? first + PART : nr;

		for (s = first; s < end; s++) {
			if (sequence_run(seed + s, steps))
				continue;
			printf("# sequence %lu, number %lu, step %u, after %lu probes: %s: %s\n",
			       seed + s, s + 1, step,
			       total.allowed + total.blocked, told[step], why);
			printf("# again: ORACLE_SEED=%lu ORACLE_SEQUENCES=1 ORACLE_STEPS=%u\n",
			       seed + s, step + 1);
			if (!getenv("ORACLE_STOP"))
				shorten(seed + s);
			failed++;
			break;
		}
		printf("%sok %u %s with %u devices: sequences %lu to %lu\n",
		       s < end ? "not " : "", ++test, argv[1], nr_devices,
		       seed + first, seed + end - 1);
		if (failed == 1 && getenv("ORACLE_STOP"))
			break;
	}
	if (iommufd >= 0)
		context_close();
	printf("# %lu sequences, %lu steps, %lu calls succeeded and %lu were refused, %lu probes reached a page, %lu were to reach none, %lu pages compared, %ld s\n",
	       total.sequences, total.steps, total.ok, total.refused,
	       total.allowed, total.blocked, total.compared,
	       (long)(time(NULL) - start));
	return failed != 0;
}
