// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/vfio/vfio: each file that is opened is a container. What it does is
 * iommufd's matter. Not built with IOMMUFD_VFIO_CONTAINER=n.
 */
#include <linux/iommufd.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "vfio.h"

static struct miscdevice vfio_container_node = {
	.minor = VFIO_MINOR,
	.name = "vfio",
	.nodename = "vfio/vfio",
	.mode = 0666,
	.fops = &iommufd_container_fops,
};

/**
 * vfio_container_init - offer containers
 *
 * Return: 0 or a negative errno.
 */
int __init vfio_container_init(void)
{
	return misc_register(&vfio_container_node);
}

/**
 * vfio_container_exit - end of vfio_container_init()
 */
void vfio_container_exit(void)
{
	misc_deregister(&vfio_container_node);
}

MODULE_ALIAS_MISCDEV(VFIO_MINOR);
MODULE_ALIAS("devname:vfio/vfio");
