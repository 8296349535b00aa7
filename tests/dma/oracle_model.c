// SPDX-License-Identifier: GPL-2.0
/*
 * The model of the DMA oracle: pages, spans, areas, address spaces and tables, who
 * needs which page, and what a device is to find at an IOVA. It does nothing to the
 * system; dma_oracle.c tells how all goes together.
 */
#include "oracle.h"

struct page pages[MAX_PAGES];
struct slot slots[NR_SLOTS];
struct ioas ioases[MAX_IOAS];
struct table tables[MAX_TABLES];
struct gone gone[NR_GONE];
unsigned int nr_pages, nr_gone;
int file_page[NR_FILE];
uint64_t rng;

/* ---- chance ---- */

static uint64_t next64(void)
{
	uint64_t z = (rng += 0x9e3779b97f4a7c15UL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
	return z ^ (z >> 31);
}

unsigned int below(unsigned int n)
{
	return next64() % n;
}

/* ---- memory ---- */

int page_new(unsigned char *view)
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
void record(unsigned char *p, unsigned int offset)
{
	static uint32_t tags;
	uint32_t words[4] = { 0x07a61e00, ++tags, offset, ~tags };

	memcpy(p, words, RECORD);
}

void page_paint(int nr)
{
	struct page *page = &pages[nr];
	unsigned int i;

	for (i = 0; i < PAGE; i += RECORD)
		record(page->content + i, i);
	memcpy(page->view, page->content, PAGE);
}

void page_lose(int nr)
{
	pages[nr].view = NULL;
}

void slot_empty(unsigned int slot)
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

void slot_private(unsigned int slot)
{
	slots[slot].kind = PRIVATE;
	slots[slot].at = page_new(slot_va(slot));
}

/* ---- pins ---- */

static int span_page(const struct span *span, unsigned int i)
{
	return span->file ? file_page[span->first + i] :
			    slot_page(span->first + i);
}

/* Could all pages of an area be found? */
bool area_present(const struct area *area)
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

bool ioas_present(const struct ioas *ioas)
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
void area_add(struct ioas *ioas, struct span *span, uint64_t iova,
		     unsigned int offset, unsigned int nr, uint32_t perm)
{
	struct area *area = &ioas->areas[ioas->nr++];

	*area = (struct area){ iova, offset, nr, perm, span };
	if (ioas->tables)
		area_pin(area);
}

void area_remove(struct ioas *ioas, unsigned int i)
{
	struct area *area = &ioas->areas[i];

	if (ioas->tables) {
		area_remember(area);
		area_unpin(area);
	}
	span_put(area->span);
	*area = ioas->areas[--ioas->nr];
}

struct area *area_at(struct ioas *ioas, uint64_t iova)
{
	unsigned int i;

	for (i = 0; i < ioas->nr; i++)
		if (iova - ioas->areas[i].iova < ioas->areas[i].nr)
			return &ioas->areas[i];
	return NULL;
}

bool ioas_meets(const struct ioas *ioas, uint64_t iova, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < ioas->nr; i++)
		if (iova < ioas->areas[i].iova + ioas->areas[i].nr &&
		    ioas->areas[i].iova < iova + nr)
			return true;
	return false;
}

/* ---- tables ---- */

int table_new(unsigned int ioas, unsigned int unit, bool automatic)
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

void table_free(struct table *table)
{
	table->used = false;
	ioas_put_table(&ioases[table->ioas]);
}

void table_put(int nr)
{
	if (!--tables[nr].users && tables[nr].automatic)
		table_free(&tables[nr]);
}

unsigned int free_tables(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < MAX_TABLES; i++)
		n += !tables[i].used;
	return n;
}

/* ---- what is to be found ---- */

/* Each page of each span is pinned once, however many need it. */
long pins_expected(void)
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

/* The page that a device reaches there, or NONE. @perm: what it may do. */
int lookup(const struct device *device, uint64_t iova, uint32_t *perm)
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

unsigned int draw_length(unsigned int room)
{
	unsigned int nr = 1 + below(below(3) ? 4 : 24);

	return nr < room ? nr : room;
}
