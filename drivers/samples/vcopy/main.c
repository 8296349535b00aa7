// SPDX-License-Identifier: GPL-2.0
/*
 * vcopy: a sample of a mediated device, a copy engine done by software. It needs
 * no hardware and no IOMMU.
 *
 *	modprobe mdev && insmod vcopy.ko
 *	cd /sys/devices/platform/vcopy/mdev_supported_types
 *	uuidgen > vcopy-pin/create		a device that pins memory
 *	uuidgen > vcopy-rw/create		one that copies it in and out
 *	ls /sys/bus/mdev/devices/UUID/vfio-dev	its file in /dev/vfio/devices
 *	echo 1 > /sys/bus/mdev/devices/UUID/remove
 *
 * Here: the parent, which is a platform device made by this module, and the life
 * of the devices. vcopy-regs.h is the manual of the device.
 */
#include <linux/module.h>
#include <linux/platform_device.h>

#include "vcopy.h"

#define VCOPY_MAX_DEVICES	64

struct vcopy_type {
	struct mdev_type type;		/* first */
	const struct vfio_device_ops *ops;
	const char *description;
};

static struct vcopy_type pin_type = {
	.type = { .sysfs_name = "pin", .pretty_name = "Copy engine that pins" },
	.ops = &vcopy_pin_ops,
	.description = "pins the memory that it copies, and can hold some",
};

static struct vcopy_type rw_type = {
	.type = { .sysfs_name = "rw", .pretty_name = "Copy engine that does not pin" },
	.ops = &vcopy_rw_ops,
	.description = "asks the core to copy memory in and out",
};

static struct mdev_type *vcopy_types[] = { &pin_type.type, &rw_type.type };

static struct vcopy_type *to_vcopy_type(struct mdev_type *type)
{
	return container_of(type, struct vcopy_type, type);
}

static int vcopy_mdev_probe(struct mdev_device *mdev)
{
	struct vcopy *vc;
	int rc;

	vc = vfio_alloc_device(vcopy, vdev, mdev_dev(mdev),
			       to_vcopy_type(mdev->type)->ops);
	if (IS_ERR(vc))
		return PTR_ERR(vc);
	dev_set_drvdata(mdev_dev(mdev), vc);

	rc = vfio_register_emulated_iommu_dev(&vc->vdev);
	if (rc)
		goto err_put;
	return 0;

err_put:
	vfio_put_device(&vc->vdev);
	return rc;
}

/* Waits until the user, if there is one, has closed the device. */
static void vcopy_mdev_remove(struct mdev_device *mdev)
{
	struct vcopy *vc = dev_get_drvdata(mdev_dev(mdev));

	vfio_unregister_group_dev(&vc->vdev);
	vfio_put_device(&vc->vdev);
}

static ssize_t vcopy_show_description(struct mdev_type *type, char *buf)
{
	return sysfs_emit(buf, "%s\n", to_vcopy_type(type)->description);
}

static struct mdev_driver vcopy_mdev_driver = {
	.device_api = VFIO_DEVICE_API_PCI_STRING,
	.max_instances = VCOPY_MAX_DEVICES,
	.probe = vcopy_mdev_probe,
	.remove = vcopy_mdev_remove,
	.show_description = vcopy_show_description,
	.driver = {
		.name = "vcopy",
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
	},
};

/*
 * The parent
 */

static struct mdev_parent vcopy_parent;
static struct platform_device *vcopy_platform_device;

static int vcopy_parent_probe(struct platform_device *pdev)
{
	return mdev_register_parent(&vcopy_parent, &pdev->dev, &vcopy_mdev_driver,
				    vcopy_types, ARRAY_SIZE(vcopy_types));
}

static int vcopy_parent_remove(struct platform_device *pdev)
{
	mdev_unregister_parent(&vcopy_parent);
	return 0;
}

static struct platform_driver vcopy_parent_driver = {
	.remove = vcopy_parent_remove,
	.driver = { .name = "vcopy" },
};

static int __init vcopy_module_init(void)
{
	int rc;

	rc = mdev_register_driver(&vcopy_mdev_driver);
	if (rc)
		return rc;

	vcopy_platform_device = platform_create_bundle(&vcopy_parent_driver,
						       vcopy_parent_probe, NULL,
						       0, NULL, 0);
	if (IS_ERR(vcopy_platform_device)) {
		rc = PTR_ERR(vcopy_platform_device);
		goto err_mdev;
	}
	return 0;

err_mdev:
	mdev_unregister_driver(&vcopy_mdev_driver);
	return rc;
}

static void __exit vcopy_module_exit(void)
{
	platform_device_unregister(vcopy_platform_device);
	platform_driver_unregister(&vcopy_parent_driver);
	mdev_unregister_driver(&vcopy_mdev_driver);
}

module_init(vcopy_module_init);
module_exit(vcopy_module_exit);

MODULE_DESCRIPTION("Sample mediated device: a copy engine in software");
MODULE_LICENSE("GPL");
