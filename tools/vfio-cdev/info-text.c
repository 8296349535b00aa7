// SPDX-License-Identifier: GPL-2.0
/* "info" for people: a line for each fact, tables where there are many. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vfio.h>
#include <libsmartcols/libsmartcols.h>

#include "info.h"

/* A table without a head, indented by its first column. */
static struct libscols_table *table_new(int nr_columns)
{
	struct libscols_table *table = scols_new_table();
	int i;

	if (!table)
		return NULL;
	scols_table_enable_noheadings(table, 1);
	for (i = 0; i < nr_columns; i++)
		if (!scols_table_new_column(table, "", 0, 0)) {
			scols_unref_table(table);
			return NULL;
		}
	return table;
}

static int table_line(struct libscols_table *table, int nr, ...)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char cell[256];
	va_list ap;
	int i, rc = 0;

	if (!line)
		return -ENOMEM;
	va_start(ap, nr);
	for (i = 0; i < nr && !rc; i++) {
		snprintf(cell, sizeof(cell), "%s%s", i ? "" : "  ", va_arg(ap, const char *));
		rc = scols_line_set_data(line, i, cell);
	}
	va_end(ap);
	return rc;
}

/* Prints and frees. */
static int table_end(struct libscols_table *table, int rc)
{
	if (!rc)
		rc = scols_print_table(table);
	scols_unref_table(table);
	return rc;
}

static const char *exact_size(uint64_t size, char buf[32])
{
	static const char units[] = " KMGTPE";
	int unit = 0;

	while (size && !(size & 1023) && unit < 6) {
		size >>= 10;
		unit++;
	}
	if (unit)
		snprintf(buf, 32, "%" PRIu64 " %ciB", size, units[unit]);
	else
		snprintf(buf, 32, "%" PRIu64 " B", size);
	return buf;
}

/* Sizes of pages, smallest first. */
static void print_sizes(uint64_t bits)
{
	const char *before = "";
	char size[32];
	int bit;

	for (bit = 0; bit < 64; bit++)
		if (bits >> bit & 1) {
			printf("%s%s", before, exact_size(1ull << bit, size));
			before = ", ";
		}
}

static void print_abilities(const struct info *info)
{
	const char *before = "";
	unsigned int feature;
	size_t i;

	if (info->iommu[0] || info->has_iommu)
		printf("  IOMMU      %s%s\n", info->iommu[0] ? info->iommu : "unnamed",
		       info->has_iommu && info->hw_info.type == 1 ? " (Intel VT-d)" : "");
	if (info->has_iommu && info->hw_info.type == 1)
		printf("             cap 0x%" PRIx64 ", ecap 0x%" PRIx64 "\n", info->hw_info.cap,
		       info->hw_info.ecap);
	if (info->pgsizes) {
		printf("  page sizes ");
		print_sizes(info->pgsizes);
		putchar('\n');
	}
	if (info->has_features) {
		printf("  features   ");
		for (feature = 0; feature < 64; feature++)
			if (info->features >> feature & 1 && info_feature_name(feature)) {
				printf("%s%s", before, info_feature_name(feature));
				before = ", ";
			}
		printf("%s\n", before[0] ? "" : "none");
	}
	printf("  reset      %s\n", info->reset_methods[0] ? info->reset_methods : "not alone");
	if (info->nr_reset_set) {
		printf("  hot reset  ");
		if (info->nr_reset_set == 1)
			printf("takes no other function along");
		else
			printf("takes along");
		for (i = 0; i < info->nr_reset_set; i++)
			if (strcmp(info->reset_set[i].bdf, info->pci.bdf))
				printf(" %s", info->reset_set[i].bdf);
		putchar('\n');
	}
}

static void print_head(const struct info *info)
{
	const struct vcdev_pci *pci = &info->pci;
	size_t i;

	printf("%s %s %s\n", pci->bdf, info->vendor, info->device);
	printf("  id         %04x:%04x, subsystem %04x:%04x\n", pci->vendor, pci->device,
	       pci->subvendor, pci->subdevice);
	printf("  class      %06" PRIx32 " %s\n", pci->class_code, info->class_name);
	printf("  driver     %s%s%s%s\n", pci->driver[0] ? pci->driver : "none",
	       pci->override[0] ? " (driver_override " : "", pci->override,
	       pci->override[0] ? ")" : "");
	if (pci->cdev[0])
		printf("  cdev       /dev/vfio/devices/%s\n", pci->cdev);
	for (i = 0; i < info->nr_holders; i++)
		printf("  in use by  process %d (%s), fd %d\n", (int)info->holders[i].pid,
		       info->holders[i].comm, info->holders[i].fd);
	if (pci->group >= 0) {
		printf("  group      %d", pci->group);
		for (i = 0; i < info->nr_members; i++)
			if (strcmp(info->members[i].bdf, pci->bdf))
				printf(", with %s (%s)", info->members[i].bdf,
				       info->members[i].driver[0] ? info->members[i].driver :
				       "no driver");
		putchar('\n');
	} else {
		printf("  group      none\n");
	}
	if (pci->pf[0])
		printf("  SR-IOV     VF of %s\n", pci->pf);
	else if (pci->total_vfs)
		printf("  SR-IOV     PF with %u of %u VFs\n", pci->nr_vfs, pci->total_vfs);
	if (pci->numa_node >= 0)
		printf("  NUMA node  %d\n", pci->numa_node);
	print_abilities(info);
}

static void region_text(const struct info *info, const struct info_region *region,
			char *buf, size_t size)
{
	const struct vcdev_region *vfio = &region->region;

	if (info->has_vfio)
		snprintf(buf, size, "%s%s%s%s%s", vfio->flags & VFIO_REGION_INFO_FLAG_READ ?
			 "read " : "", vfio->flags & VFIO_REGION_INFO_FLAG_WRITE ? "write " : "",
			 vfio->flags & VFIO_REGION_INFO_FLAG_MMAP ? "mmap " : "",
			 vfio->is_sparse ? "sparse " : "",
			 vfio->msix_mappable ? "msix-mappable" : "");
	else
		snprintf(buf, size, "%s%s%s", region->is_io ? "ports" : "memory",
			 region->is_64bit ? " 64-bit" : "",
			 region->is_prefetchable ? " prefetchable" : "");
}

static int print_regions(const struct info *info)
{
	struct libscols_table *table;
	char name[16], size[32], text[128];
	size_t i, j;
	int rc = 0;

	if (!info->nr_regions)
		return 0;
	printf("regions\n");
	table = table_new(3);
	if (!table)
		return -ENOMEM;
	for (i = 0; i < info->nr_regions && !rc; i++) {
		const struct info_region *region = &info->regions[i];

		region_text(info, region, text, sizeof(text));
		rc = table_line(table, 3, info_region_name(region->index, name),
				exact_size(region->region.size, size), text);
		for (j = 0; j < region->region.nr_areas && !rc; j++) {
			snprintf(text, sizeof(text), "mmap at 0x%" PRIx64,
				 region->region.areas[j].offset);
			rc = table_line(table, 3, "", exact_size(region->region.areas[j].size, size),
					text);
		}
	}
	return table_end(table, rc);
}

static int print_irqs(const struct info *info)
{
	struct libscols_table *table;
	char name[16], count[32], text[64];
	size_t i;
	int rc = 0;

	if (!info->nr_irqs)
		return 0;
	printf("interrupts\n");
	table = table_new(info->has_vfio ? 3 : 2);
	if (!table)
		return -ENOMEM;
	for (i = 0; i < info->nr_irqs && !rc; i++) {
		uint32_t flags = info->irqs[i].irq.flags;

		snprintf(count, sizeof(count), "%u", info->irqs[i].irq.count);
		snprintf(text, sizeof(text), "%s%s%s%s",
			 flags & VFIO_IRQ_INFO_EVENTFD ? "eventfd " : "",
			 flags & VFIO_IRQ_INFO_MASKABLE ? "maskable " : "",
			 flags & VFIO_IRQ_INFO_AUTOMASKED ? "automasked " : "",
			 flags & VFIO_IRQ_INFO_NORESIZE ? "noresize" : "");
		rc = table_line(table, info->has_vfio ? 3 : 2,
				info_irq_name(info->irqs[i].index, name), count, text);
	}
	return table_end(table, rc);
}

static int print_capabilities(const struct info *info)
{
	struct libscols_table *table;
	char offset[16], name[32];
	size_t i;
	int rc = 0;

	if (!info->layout.nr_caps)
		return 0;
	printf("capabilities\n");
	table = table_new(2);
	if (!table)
		return -ENOMEM;
	for (i = 0; i < info->layout.nr_caps && !rc; i++) {
		const struct pci_capability *cap = &info->layout.caps[i];

		snprintf(offset, sizeof(offset), "0x%03x", cap->offset);
		snprintf(name, sizeof(name), "%s 0x%x", cap->is_extended ? "extended" : "ID",
			 cap->id);
		rc = table_line(table, 2, offset, cap->name[0] ? cap->name : name);
	}
	return table_end(table, rc);
}

static int print_iovas(const struct info *info)
{
	size_t i;

	if (info->nr_iovas) {
		printf("IOVA ranges, alignment %" PRIu64 "\n", info->iova_alignment);
		for (i = 0; i < info->nr_iovas; i++)
			printf("  0x%016" PRIx64 " to 0x%016" PRIx64 "\n", info->iovas[i].start,
			       info->iovas[i].last);
	}
	if (info->nr_reserved) {
		printf("reserved IOVA regions\n");
		for (i = 0; i < info->nr_reserved; i++)
			printf("  0x%016" PRIx64 " to 0x%016" PRIx64 " %s\n",
			       info->reserved[i].start, info->reserved[i].last,
			       info->reserved[i].type);
	}
	return 0;
}

int info_print_text(const struct info *info)
{
	size_t i;
	int rc;

	print_head(info);
	rc = print_regions(info);
	if (!rc)
		rc = print_irqs(info);
	if (!rc)
		rc = print_capabilities(info);
	if (!rc)
		rc = print_iovas(info);
	for (i = 0; i < info->nr_gaps && !rc; i++) {
		printf("not read: %s: %s\n", info->gaps[i].what, info->gaps[i].err.text);
		if (info->gaps[i].err.hint[0])
			printf("  next: %s\n", info->gaps[i].err.hint);
	}
	return rc;
}
