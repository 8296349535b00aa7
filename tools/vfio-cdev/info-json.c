// SPDX-License-Identifier: GPL-2.0
/*
 * "info" for machines. Numbers are numbers, except IOVAs and sizes of 64 bits,
 * which are hexadecimal strings: many readers keep 53 bits only. The keys are a
 * promise; new ones may be added.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <linux/vfio.h>

#include "info.h"

/* Sticky: after a failure every call does nothing, and the end tells. */
static void add(struct json_object *object, const char *key, struct json_object *value,
		int *rc)
{
	if (*rc || !object || json_object_object_add(object, key, value)) {
		json_object_put(value);
		*rc = -ENOMEM;
	}
}

static void add_string(struct json_object *object, const char *key, const char *value, int *rc)
{
	struct json_object *string;

	if (!value[0]) {
		add(object, key, NULL, rc);
		return;
	}
	string = json_object_new_string(value);
	if (!string)
		*rc = -ENOMEM;
	add(object, key, string, rc);
}

static void add_format(struct json_object *object, const char *key, int *rc,
		       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void add_format(struct json_object *object, const char *key, int *rc,
		       const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add_string(object, key, text, rc);
}

static void add_number(struct json_object *object, const char *key, int64_t value, int *rc)
{
	struct json_object *number = json_object_new_int64(value);

	if (!number)
		*rc = -ENOMEM;
	add(object, key, number, rc);
}

static void add_bool(struct json_object *object, const char *key, bool value, int *rc)
{
	struct json_object *boolean = json_object_new_boolean(value);

	if (!boolean)
		*rc = -ENOMEM;
	add(object, key, boolean, rc);
}

static struct json_object *add_array(struct json_object *object, const char *key, int *rc)
{
	struct json_object *array = json_object_new_array();

	if (!array)
		*rc = -ENOMEM;
	add(object, key, array, rc);
	return *rc ? NULL : array;
}

/* A new object at the end of @array. */
static struct json_object *add_element(struct json_object *array, int *rc)
{
	struct json_object *object;

	if (*rc || !array)
		return NULL;
	object = json_object_new_object();
	if (!object || json_object_array_add(array, object)) {
		json_object_put(object);
		*rc = -ENOMEM;
		return NULL;
	}
	return object;
}

static void add_head(struct json_object *root, const struct info *info, int *rc)
{
	const struct vcdev_pci *pci = &info->pci;
	struct json_object *array, *object;
	size_t i;

	add_string(root, "bdf", pci->bdf, rc);
	add_string(root, "vendor", info->vendor, rc);
	add_string(root, "device", info->device, rc);
	add_format(root, "vendor_id", rc, "%04x", pci->vendor);
	add_format(root, "device_id", rc, "%04x", pci->device);
	add_format(root, "subsystem_vendor_id", rc, "%04x", pci->subvendor);
	add_format(root, "subsystem_device_id", rc, "%04x", pci->subdevice);
	add_format(root, "class", rc, "%06" PRIx32, pci->class_code);
	add_string(root, "class_name", info->class_name, rc);
	add_string(root, "driver", pci->driver, rc);
	add_string(root, "driver_override", pci->override, rc);
	add_string(root, "cdev", pci->cdev, rc);
	if (pci->group >= 0)
		add_number(root, "group", pci->group, rc);
	else
		add(root, "group", NULL, rc);
	array = add_array(root, "group_members", rc);
	for (i = 0; i < info->nr_members; i++) {
		object = add_element(array, rc);
		add_string(object, "bdf", info->members[i].bdf, rc);
		add_string(object, "driver", info->members[i].driver, rc);
	}
	array = add_array(root, "holders", rc);
	for (i = 0; i < info->nr_holders; i++) {
		object = add_element(array, rc);
		add_number(object, "pid", info->holders[i].pid, rc);
		add_number(object, "fd", info->holders[i].fd, rc);
		add_string(object, "comm", info->holders[i].comm, rc);
	}
	add_string(root, "pf", pci->pf, rc);
	add_number(root, "nr_vfs", pci->nr_vfs, rc);
	add_number(root, "total_vfs", pci->total_vfs, rc);
	if (pci->numa_node >= 0)
		add_number(root, "numa_node", pci->numa_node, rc);
	else
		add(root, "numa_node", NULL, rc);
}

static void add_region(struct json_object *object, const struct info *info,
		       const struct info_region *region, int *rc)
{
	const struct vcdev_region *vfio = &region->region;
	struct json_object *array, *area;
	char name[16];
	size_t i;

	add_number(object, "index", region->index, rc);
	add_string(object, "name", info_region_name(region->index, name), rc);
	add_format(object, "size", rc, "0x%" PRIx64, vfio->size);
	if (!info->has_vfio) {
		add_bool(object, "io_ports", region->is_io, rc);
		add_bool(object, "64bit", region->is_64bit, rc);
		add_bool(object, "prefetchable", region->is_prefetchable, rc);
		return;
	}
	add_bool(object, "read", vfio->flags & VFIO_REGION_INFO_FLAG_READ, rc);
	add_bool(object, "write", vfio->flags & VFIO_REGION_INFO_FLAG_WRITE, rc);
	add_bool(object, "mmap", vfio->flags & VFIO_REGION_INFO_FLAG_MMAP, rc);
	add_bool(object, "msix_mappable", vfio->msix_mappable, rc);
	if (vfio->type) {
		add_number(object, "type", vfio->type, rc);
		add_number(object, "subtype", vfio->subtype, rc);
	}
	if (!vfio->is_sparse)
		return;
	array = add_array(object, "mmap_areas", rc);
	for (i = 0; i < vfio->nr_areas; i++) {
		area = add_element(array, rc);
		add_format(area, "offset", rc, "0x%" PRIx64, vfio->areas[i].offset);
		add_format(area, "size", rc, "0x%" PRIx64, vfio->areas[i].size);
	}
}

static void add_resources(struct json_object *root, const struct info *info, int *rc)
{
	struct json_object *array, *object;
	char name[16];
	size_t i;

	add_string(root, "source", info->has_vfio ? "vfio" : "sysfs", rc);
	array = add_array(root, "regions", rc);
	for (i = 0; i < info->nr_regions; i++)
		add_region(add_element(array, rc), info, &info->regions[i], rc);
	array = add_array(root, "interrupts", rc);
	for (i = 0; i < info->nr_irqs; i++) {
		uint32_t flags = info->irqs[i].irq.flags;

		object = add_element(array, rc);
		add_number(object, "index", info->irqs[i].index, rc);
		add_string(object, "name", info_irq_name(info->irqs[i].index, name), rc);
		add_number(object, "count", info->irqs[i].irq.count, rc);
		if (!info->has_vfio)
			continue;
		add_bool(object, "eventfd", flags & VFIO_IRQ_INFO_EVENTFD, rc);
		add_bool(object, "maskable", flags & VFIO_IRQ_INFO_MASKABLE, rc);
		add_bool(object, "automasked", flags & VFIO_IRQ_INFO_AUTOMASKED, rc);
		add_bool(object, "noresize", flags & VFIO_IRQ_INFO_NORESIZE, rc);
	}
	array = add_array(root, "capabilities", rc);
	for (i = 0; i < info->layout.nr_caps; i++) {
		object = add_element(array, rc);
		add_number(object, "id", info->layout.caps[i].id, rc);
		add_bool(object, "extended", info->layout.caps[i].is_extended, rc);
		add_number(object, "offset", info->layout.caps[i].offset, rc);
		add_string(object, "name", info->layout.caps[i].name, rc);
	}
}

static void add_iovas(struct json_object *root, const struct info *info, int *rc)
{
	struct json_object *array, *object;
	size_t i;

	array = add_array(root, "iova_ranges", rc);
	for (i = 0; i < info->nr_iovas; i++) {
		object = add_element(array, rc);
		add_format(object, "start", rc, "0x%" PRIx64, info->iovas[i].start);
		add_format(object, "last", rc, "0x%" PRIx64, info->iovas[i].last);
	}
	if (info->nr_iovas)
		add_number(root, "iova_alignment", info->iova_alignment, rc);
	else
		add(root, "iova_alignment", NULL, rc);
	array = add_array(root, "reserved_regions", rc);
	for (i = 0; i < info->nr_reserved; i++) {
		object = add_element(array, rc);
		add_format(object, "start", rc, "0x%" PRIx64, info->reserved[i].start);
		add_format(object, "last", rc, "0x%" PRIx64, info->reserved[i].last);
		add_string(object, "type", info->reserved[i].type, rc);
	}
	array = add_array(root, "not_read", rc);
	for (i = 0; i < info->nr_gaps; i++) {
		object = add_element(array, rc);
		add_string(object, "what", info->gaps[i].what, rc);
		add_string(object, "reason", info->gaps[i].err.text, rc);
		add_string(object, "next", info->gaps[i].err.hint, rc);
	}
}

int info_print_json(const struct info *info)
{
	struct json_object *root = json_object_new_object();
	const char *text;
	int rc = root ? 0 : -ENOMEM;

	add_head(root, info, &rc);
	add_resources(root, info, &rc);
	add_iovas(root, info, &rc);
	if (!rc) {
		text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_NOSLASHESCAPE);
		if (text)
			puts(text);
		else
			rc = -ENOMEM;
	}
	json_object_put(root);
	return rc;
}
