// SPDX-License-Identifier: GPL-2.0
/*
 * The actions of the DMA oracle: the ioctls on address spaces, tables and devices,
 * each with what the model says that it returns and what it changes.
 */
#include "oracle.h"

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

void step_map(void)
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

void step_map_file(void)
{
	struct ioas *ioas = pick_ioas();
	unsigned int first = below(NR_FILE), nr = draw_length(NR_FILE - first);

	if (ioas->nr < MAX_AREAS)
		map(ioas, true, first, nr, draw_perm(), below(4),
		    draw_place(nr));
}

void step_unmap(void)
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

void step_copy(void)
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

void ioas_begin(struct ioas *ioas)
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

void step_ioas(void)
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

/* ---- tables and devices ---- */

void step_hwpt(void)
{
	struct device *device = &devices[below(nr_devices)];
	struct ioas *ioas = pick_ioas();
	struct expected e = {};
	uint32_t id = 0;
	int rc, nr;

	if (!device->id || free_tables() <= nr_devices)
		return;
	expect(&e, !ioas->tables && !ioas_present(ioas), EFAULT);
	rc = hwpt_alloc(iommufd, device->id, ioas->id, &id);
	tell("ioas %u: hwpt alloc for device %u: %u", ioas->id, device->nr, id);
	if (!judge(&e, rc))
		return;
	nr = table_new(ioas - ioases, device->unit, false);
	tables[nr].id = id;
}

void step_hwpt_destroy(void)
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

void device_attach(struct device *device)
{
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

void step_attach(void)
{
	device_attach(&devices[below(nr_devices)]);
}

void device_detach(struct device *device)
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

void step_detach(void)
{
	if (!below(2))
		device_detach(&devices[below(nr_devices)]);
}
