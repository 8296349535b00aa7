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

/* A device buffer of slots: 0 to 5 to be read into, 8 and 9 detached, then. */
#define NR_READS	6U
#define NR_WRITES	3U
#define NR_STALE	2U
#define FIRST_STALE	8U
#define FIRST_WRITE	10U
#define BUFFER		((FIRST_WRITE + NR_WRITES) * RECORD)
/* Where the CPU sees it: a part of the stage for each device. */
#define STAGE_PART	512U

/*
 * What a device does in a probe, one transfer after the other. One takes a tenth of
 * a second, in which the other devices have theirs: each round begins one of every
 * device, in order. They end in that order, too, as QEMU's timers do, so that the
 * model may say what each meets when it begins.
 */
enum phase { LOOK_AT_STALE, FILL_BUFFER, READS, WRITES, TAKE_BUFFER, DONE };

struct probing {
	struct device *device;
	enum phase phase;
	unsigned int i;			/* of the reads or writes */
	int wrote;			/* page, or NONE */
	uint64_t iova;
	unsigned char want[NR_READS][RECORD];
	uint64_t iovas[NR_READS];
	bool reaches[NR_READS];
};

static unsigned char *stage_of(const struct device *device)
{
	return slot_va(STAGE_SLOT) + device->nr * STAGE_PART;
}

/* What is on the stage now is right. */
static void stage_changed(void)
{
	memcpy(pages[slots[STAGE_SLOT].at].content, slot_va(STAGE_SLOT), PAGE);
}

static void begin(struct device *device, bool to_ram, uint64_t iova,
		  unsigned int offset, unsigned int count)
{
	unsigned long buffer = EDU_BUFFER + offset;

	edu_write64(&device->edu, EDU_DMA_SRC, to_ram ? buffer : iova);
	edu_write64(&device->edu, EDU_DMA_DST, to_ram ? iova : buffer);
	edu_write64(&device->edu, EDU_DMA_COUNT, count);
	edu_write64(&device->edu, EDU_DMA_CMD,
		    EDU_DMA_RUN | (to_ram ? EDU_DMA_TO_RAM : 0));
}

static void end(struct device *device)
{
	int i;

	for (i = 0; edu_busy(&device->edu); i++) {
		if (i == 5000)
			return wrong("device %u does not end", device->nr);
		usleep(2000);
	}
}

/* All of the buffer, to or from the device's part of the stage. */
static void move_buffer(struct device *device, bool to_ram)
{
	begin(device, to_ram, STAGE * PAGE + device->nr * STAGE_PART, 0, BUFFER);
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

/* Where to look. Not at the stage: what is there while others use it? */
static uint64_t draw_target(void)
{
	uint64_t iova;

	do {
		iova = draw_iova();
	} while (iova == STAGE);
	return iova;
}

static void begin_fill(struct probing *p)
{
	unsigned char *stage = stage_of(p->device);
	unsigned int i;

	memset(stage, 0xdd, FIRST_WRITE * RECORD);
	for (i = 0; i < NR_WRITES; i++)
		record(stage + (FIRST_WRITE + i) * RECORD, i);
	stage_changed();
	move_buffer(p->device, false);
}

static void begin_read(struct probing *p)
{
	unsigned int offset = below(4) ? below(256) * RECORD : PAGE - RECORD;
	unsigned int slot = p->i;
	uint64_t iova = draw_target();
	uint32_t perm;
	int nr;

	if (p->device->table == NONE) {
		slot = FIRST_STALE + p->i;
		p->device->stale = true;
		total.blocked++;
	} else {
		nr = lookup(p->device, iova, &perm);
		p->iovas[p->i] = iova;
		p->reaches[p->i] = nr != NONE && perm & RD;
		if (p->reaches[p->i])
			memcpy(p->want[p->i], pages[nr].content + offset,
			       RECORD);
	}
	begin(p->device, false, iova * PAGE + offset, slot * RECORD, RECORD);
}

static void begin_write(struct probing *p)
{
	const unsigned char *data = stage_of(p->device) +
				    (FIRST_WRITE + p->i) * RECORD;
	unsigned int offset = below(256) * RECORD;
	uint32_t perm;
	int nr;

	p->iova = draw_target() * PAGE + offset;
	nr = lookup(p->device, p->iova / PAGE, &perm);
	p->wrote = NONE;
	if (nr != NONE && perm & WR) {
		memcpy(pages[nr].content + offset, data, RECORD);
		p->wrote = nr;
		total.allowed++;
	} else {
		total.blocked++;
	}
	begin(p->device, true, p->iova, (FIRST_WRITE + p->i) * RECORD, RECORD);
}

static void begin_phase(struct probing *p)
{
	switch (p->phase) {
	case LOOK_AT_STALE:
	case TAKE_BUFFER:
		return move_buffer(p->device, true);
	case FILL_BUFFER:
		return begin_fill(p);
	case READS:
		return begin_read(p);
	case WRITES:
		return begin_write(p);
	case DONE:
		break;
	}
}

static void judge_stale(const struct probing *p)
{
	unsigned int i;

	for (i = FIRST_STALE; i < FIRST_STALE + NR_STALE; i++)
		if (came_from_memory(stage_of(p->device) + i * RECORD))
			wrong("device %u read memory while it was detached",
			      p->device->nr);
}

static void judge_write(const struct probing *p)
{
	if (p->wrote != NONE && pages[p->wrote].view &&
	    memcmp(pages[p->wrote].view, pages[p->wrote].content, PAGE))
		wrong("device %u, table %u: write to %#lx did not reach page %d",
		      p->device->nr, tables[p->device->table].id, p->iova,
		      p->wrote);
}

static void judge_reads(const struct probing *p)
{
	unsigned int i, table = tables[p->device->table].id;

	for (i = 0; i < NR_READS; i++) {
		unsigned char *got = stage_of(p->device) + i * RECORD;

		if (p->reaches[i]) {
			total.allowed++;
			if (memcmp(got, p->want[i], RECORD))
				wrong("device %u, table %u: read of %#lx was not that of its page",
				      p->device->nr, table, p->iovas[i] * PAGE);
		} else {
			total.blocked++;
			if (came_from_memory(got))
				wrong("device %u, table %u: read of %#lx reached memory",
				      p->device->nr, table, p->iovas[i] * PAGE);
		}
	}
}

/* What came of the transfer, and the next one's phase. */
static void end_phase(struct probing *p)
{
	bool detached = p->device->table == NONE;

	switch (p->phase) {
	case LOOK_AT_STALE:
		stage_changed();
		judge_stale(p);
		p->device->stale = false;
		p->phase = FILL_BUFFER;
		break;
	case FILL_BUFFER:
		p->phase = READS;
		break;
	case READS:
		if (++p->i == (detached ? NR_STALE : NR_READS)) {
			p->phase = WRITES;
			p->i = 0;
		}
		break;
	case WRITES:
		judge_write(p);
		if (++p->i == NR_WRITES)
			p->phase = detached ? DONE : TAKE_BUFFER;
		break;
	case TAKE_BUFFER:
		stage_changed();
		judge_reads(p);
		p->phase = DONE;
		break;
	case DONE:
		break;
	}
}

static void probe_edu(void)
{
	struct probing probing[MAX_DEVICES], *p, *last = probing + nr_devices;
	bool going;

	for (p = probing; p < last; p++) {
		*p = (struct probing){ .device = &devices[p - probing] };
		if (p->device->table == NONE)
			p->phase = READS;
		else if (!p->device->stale)
			p->phase = FILL_BUFFER;
	}
	do {
		going = false;
		for (p = probing; p < last; p++)
			begin_phase(p);
		usleep(100500);
		for (p = probing; p < last; p++)
			end(p->device);
		for (p = probing; p < last; p++) {
			end_phase(p);
			going |= p->phase != DONE;
		}
	} while (going && !why[0]);
	compare_all("written by a device", false);
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
	if (!mock && !why[0])
		probe_edu();
	for (i = 0; mock && i < nr_devices && !why[0]; i++)
		probe_mock(&devices[i]);
	if (huge)
		compare_all("at the end", true);
}
