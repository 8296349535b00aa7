// SPDX-License-Identifier: GPL-2.0
/*
 * The probes of the DMA oracle: where it looks, and whether that is what the model
 * says. A real device reads and writes there; the table of a fake one is asked.
 */
#include "oracle.h"

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

/* ---- by DMA ---- */

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

/* ---- of a page table ---- */

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

void probe(bool huge)
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
