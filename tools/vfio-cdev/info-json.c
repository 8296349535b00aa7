// SPDX-License-Identifier: GPL-2.0
/*
 * "info" for machines. Numbers are numbers, except IOVAs and sizes of 64 bits,
 * which are hexadecimal strings: many readers keep 53 bits only. The keys are a
 * promise; new ones may be added.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <linux/vfio.h>

#include "info.h"
#include "json.h"

static void add_head(struct json_object *root, const struct info *info, int *rc)
{
	const struct vcdev_pci *pci = &info->pci;
	struct json_object *array, *object;
	size_t i;

	json_add_string(root, "bdf", pci->bdf, rc);
	json_add_string(root, "vendor", info->vendor, rc);
	json_add_string(root, "device", info->device, rc);
	json_add_format(root, "vendor_id", rc, "%04x", pci->vendor);
	json_add_format(root, "device_id", rc, "%04x", pci->device);
	json_add_format(root, "subsystem_vendor_id", rc, "%04x", pci->subvendor);
	json_add_format(root, "subsystem_device_id", rc, "%04x", pci->subdevice);
	json_add_format(root, "class", rc, "%06" PRIx32, pci->class_code);
	json_add_string(root, "class_name", info->class_name, rc);
	json_add_string(root, "driver", pci->driver, rc);
	json_add_string(root, "driver_override", pci->override, rc);
	json_add_string(root, "cdev", pci->cdev, rc);
	if (pci->group >= 0)
		json_add_number(root, "group", pci->group, rc);
	else
		json_add(root, "group", NULL, rc);
	array = json_add_array(root, "group_members", rc);
	for (i = 0; i < info->nr_members; i++) {
		object = json_add_element(array, rc);
		json_add_string(object, "bdf", info->members[i].bdf, rc);
		json_add_string(object, "driver", info->members[i].driver, rc);
	}
	array = json_add_array(root, "holders", rc);
	for (i = 0; i < info->nr_holders; i++) {
		object = json_add_element(array, rc);
		json_add_number(object, "pid", info->holders[i].pid, rc);
		json_add_number(object, "fd", info->holders[i].fd, rc);
		json_add_string(object, "comm", info->holders[i].comm, rc);
	}
	json_add_string(root, "pf", pci->pf, rc);
	json_add_number(root, "nr_vfs", pci->nr_vfs, rc);
	json_add_number(root, "total_vfs", pci->total_vfs, rc);
	if (pci->numa_node >= 0)
		json_add_number(root, "numa_node", pci->numa_node, rc);
	else
		json_add(root, "numa_node", NULL, rc);
}

static void add_region(struct json_object *object, const struct info *info,
		       const struct info_region *region, int *rc)
{
	const struct vcdev_region *vfio = &region->region;
	struct json_object *array, *area;
	char name[16];
	size_t i;

	json_add_number(object, "index", region->index, rc);
	json_add_string(object, "name", info_region_name(region->index, name), rc);
	json_add_format(object, "size", rc, "0x%" PRIx64, vfio->size);
	if (!info->has_vfio) {
		json_add_bool(object, "io_ports", region->is_io, rc);
		json_add_bool(object, "64bit", region->is_64bit, rc);
		json_add_bool(object, "prefetchable", region->is_prefetchable, rc);
		return;
	}
	json_add_bool(object, "read", vfio->flags & VFIO_REGION_INFO_FLAG_READ, rc);
	json_add_bool(object, "write", vfio->flags & VFIO_REGION_INFO_FLAG_WRITE, rc);
	json_add_bool(object, "mmap", vfio->flags & VFIO_REGION_INFO_FLAG_MMAP, rc);
	json_add_bool(object, "msix_mappable", vfio->msix_mappable, rc);
	if (vfio->type) {
		json_add_number(object, "type", vfio->type, rc);
		json_add_number(object, "subtype", vfio->subtype, rc);
	}
	if (!vfio->is_sparse)
		return;
	array = json_add_array(object, "mmap_areas", rc);
	for (i = 0; i < vfio->nr_areas; i++) {
		area = json_add_element(array, rc);
		json_add_format(area, "offset", rc, "0x%" PRIx64, vfio->areas[i].offset);
		json_add_format(area, "size", rc, "0x%" PRIx64, vfio->areas[i].size);
	}
}

static void add_resources(struct json_object *root, const struct info *info, int *rc)
{
	struct json_object *array, *object;
	char name[16];
	size_t i;

	json_add_string(root, "source", info->has_vfio ? "vfio" : "sysfs", rc);
	array = json_add_array(root, "regions", rc);
	for (i = 0; i < info->nr_regions; i++)
		add_region(json_add_element(array, rc), info, &info->regions[i], rc);
	array = json_add_array(root, "interrupts", rc);
	for (i = 0; i < info->nr_irqs; i++) {
		uint32_t flags = info->irqs[i].irq.flags;

		object = json_add_element(array, rc);
		json_add_number(object, "index", info->irqs[i].index, rc);
		json_add_string(object, "name", info_irq_name(info->irqs[i].index, name), rc);
		json_add_number(object, "count", info->irqs[i].irq.count, rc);
		if (!info->has_vfio)
			continue;
		json_add_bool(object, "eventfd", flags & VFIO_IRQ_INFO_EVENTFD, rc);
		json_add_bool(object, "maskable", flags & VFIO_IRQ_INFO_MASKABLE, rc);
		json_add_bool(object, "automasked", flags & VFIO_IRQ_INFO_AUTOMASKED, rc);
		json_add_bool(object, "noresize", flags & VFIO_IRQ_INFO_NORESIZE, rc);
	}
	array = json_add_array(root, "capabilities", rc);
	for (i = 0; i < info->layout.nr_caps; i++) {
		object = json_add_element(array, rc);
		json_add_number(object, "id", info->layout.caps[i].id, rc);
		json_add_bool(object, "extended", info->layout.caps[i].is_extended, rc);
		json_add_number(object, "offset", info->layout.caps[i].offset, rc);
		json_add_string(object, "name", info->layout.caps[i].name, rc);
	}
}

static void add_abilities(struct json_object *root, const struct info *info, int *rc)
{
	struct json_object *array;
	unsigned int bit;
	size_t i;

	json_add_string(root, "iommu", info->iommu, rc);
	if (info->has_iommu && info->hw_info.type == 1) {
		json_add_format(root, "iommu_cap", rc, "0x%" PRIx64, info->hw_info.cap);
		json_add_format(root, "iommu_ecap", rc, "0x%" PRIx64, info->hw_info.ecap);
	} else {
		json_add(root, "iommu_cap", NULL, rc);
		json_add(root, "iommu_ecap", NULL, rc);
	}
	if (info->has_iommu)
		json_add_number(root, "iommu_type", info->hw_info.type, rc);
	else
		json_add(root, "iommu_type", NULL, rc);
	array = json_add_array(root, "page_sizes", rc);
	for (bit = 0; bit < 64 && array; bit++)
		if (info->pgsizes >> bit & 1)
			json_object_array_add(array, json_object_new_int64(1ll << bit));
	array = json_add_array(root, "features", rc);
	for (bit = 0; bit < 64 && array; bit++)
		if (info->features >> bit & 1 && info_feature_name(bit))
			json_object_array_add(array,
					      json_object_new_string(info_feature_name(bit)));
	json_add_string(root, "reset_methods", info->reset_methods, rc);
	array = json_add_array(root, "reset_set", rc);
	for (i = 0; i < info->nr_reset_set && array; i++)
		json_object_array_add(array, json_object_new_string(info->reset_set[i].bdf));
}

static void add_iovas(struct json_object *root, const struct info *info, int *rc)
{
	struct json_object *array, *object;
	size_t i;

	array = json_add_array(root, "iova_ranges", rc);
	for (i = 0; i < info->nr_iovas; i++) {
		object = json_add_element(array, rc);
		json_add_format(object, "start", rc, "0x%" PRIx64, info->iovas[i].start);
		json_add_format(object, "last", rc, "0x%" PRIx64, info->iovas[i].last);
	}
	if (info->nr_iovas)
		json_add_number(root, "iova_alignment", info->iova_alignment, rc);
	else
		json_add(root, "iova_alignment", NULL, rc);
	array = json_add_array(root, "reserved_regions", rc);
	for (i = 0; i < info->nr_reserved; i++) {
		object = json_add_element(array, rc);
		json_add_format(object, "start", rc, "0x%" PRIx64, info->reserved[i].start);
		json_add_format(object, "last", rc, "0x%" PRIx64, info->reserved[i].last);
		json_add_string(object, "type", info->reserved[i].type, rc);
	}
	array = json_add_array(root, "not_read", rc);
	for (i = 0; i < info->nr_gaps; i++) {
		object = json_add_element(array, rc);
		json_add_string(object, "what", info->gaps[i].what, rc);
		json_add_string(object, "reason", info->gaps[i].err.text, rc);
		json_add_string(object, "next", info->gaps[i].err.hint, rc);
	}
}

int info_print_json(const struct info *info)
{
	struct json_object *root = json_object_new_object();
	int rc = root ? 0 : -ENOMEM;

	add_head(root, info, &rc);
	add_resources(root, info, &rc);
	add_abilities(root, info, &rc);
	add_iovas(root, info, &rc);
	return json_print(root, rc);
}
