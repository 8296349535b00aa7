// SPDX-License-Identifier: GPL-2.0
/*
 * What /proc/PID/fdinfo/FD tells about a device that is open, through its own file
 * or a group's. docs/fdinfo.md is the contract: "key:<tab>value", a line each.
 *
 * The reader takes no lock. What is bound stays so as long as the file is open,
 * and the name is the node's: a file that is not bound refers to nothing else.
 */
#include <linux/iommufd.h>
#include <linux/seq_file.h>

#include "vfio.h"

#define FDINFO_FORMAT	1

static const char *state_name(const struct vfio_node *node, bool bound)
{
	if (!bound)
		return "opened";
	return READ_ONCE(node->attached) ? "attached" : "bound";
}

static void show_user(struct seq_file *m, struct vfio_handle *handle)
{
	struct iommufd_place place = {};

	vfio_iommufd_place(handle->node, &place);
	seq_printf(m, "driver:\t%s\n", handle->vdev->dev->driver->name);
	seq_printf(m, "opens:\t%u\n", READ_ONCE(handle->vdev->open_count));
	if (handle->node->noiommu)
		return;
	seq_printf(m, "iommufd:\t%llu\n", place.context);
	seq_printf(m, "id:\t%u\n", handle->node->devid);
	seq_printf(m, "hwpt:\t%u\n", place.hwpt_id);
	seq_printf(m, "ioas:\t%u\n", place.ioas_id);
}

static const char *kind_name(const struct vfio_node *node)
{
	if (node->noiommu)
		return "no-iommu";
	return node->emulated ? "emulated" : "physical";
}

/**
 * vfio_fdinfo_show - tell about a device file
 * @m: where to
 * @handle: of the file, which the caller keeps open
 */
void vfio_fdinfo_show(struct seq_file *m, struct vfio_handle *handle)
{
	struct vfio_node *node = handle->node;
	bool bound = vfio_handle_is_bound(handle);

	seq_printf(m, "vfio-format:\t%u\n", FDINFO_FORMAT);
	seq_printf(m, "device:\t%s\n", node->name);
	seq_printf(m, "node:\tvfio%u\n", node->index);
	seq_printf(m, "kind:\t%s\n", kind_name(node));
	seq_printf(m, "via:\t%s\n", handle->group ? "group" : "cdev");
	seq_printf(m, "state:\t%s\n", state_name(node, bound));
	if (bound)
		show_user(m, handle);
}
