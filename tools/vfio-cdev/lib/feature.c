// SPDX-License-Identifier: GPL-2.0
/* What a bound device can do beyond regions and interrupts, and its IOMMU. */
#include <errno.h>
#include <string.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "device.h"

int vcdev_dev_features(struct vcdev_dev *dev, uint64_t *features, struct vcdev_error *err)
{
	struct vfio_device_feature arg = { .argsz = sizeof(arg) };
	uint32_t feature;
	uint64_t found = 0;
	int rc;

	/* A feature without GET and SET in the question: does it exist at all? */
	for (feature = 0; feature <= VFIO_DEVICE_FEATURE_MIG_DATA_SIZE; feature++) {
		arg.flags = VFIO_DEVICE_FEATURE_PROBE | feature;
		rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_FEATURE, &arg);
		if (!rc)
			found |= 1ull << feature;
		else if (rc != -ENOTTY && rc != -EINVAL && rc != -EOPNOTSUPP)
			return vcdev_fail(err, rc, "cannot ask %s for its features: %s",
					  dev->pci.cdev, strerror(-rc));
	}
	*features = found;
	return 0;
}

int vcdev_dev_hw_info(struct vcdev_dev *dev, struct vcdev_ctx *ctx,
		      struct vcdev_hw_info *hw_info, struct vcdev_error *err)
{
	struct iommu_hw_info_vtd vtd = { 0 };
	struct iommu_hw_info arg = {
		.size = sizeof(arg),
		.dev_id = dev->id,
		.data_len = sizeof(vtd),
		.data_uptr = (uintptr_t)&vtd,
	};
	int rc;

	rc = vcdev_ioctl(ctx->fd, IOMMU_GET_HW_INFO, &arg);
	if (rc)
		return vcdev_fail(err, rc, "the IOMMU of %s does not say what it can do: %s",
				  dev->pci.cdev, strerror(-rc));
	memset(hw_info, 0, sizeof(*hw_info));
	hw_info->type = arg.out_data_type;
	if (arg.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD) {
		hw_info->cap = vtd.cap_reg;
		hw_info->ecap = vtd.ecap_reg;
	}
	return 0;
}
