/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * VFIO: devices in the hands of userspace.
 *
 * There are two ways to a device. The newer one opens /dev/vfio/devices/vfioX
 * and binds it to an open /dev/iommu (see linux/iommufd.h). The older one opens
 * an IOMMU group, joins it to a container, and gets device files from the
 * group. Once there, a device file behaves the same.
 *
 * This file stands in for the one of Linux 6.1, guard and all: it has what that
 * one has, and what came since. Include it first, the other is then skipped.
 */
#ifndef _UAPIVFIO_H
#define _UAPIVFIO_H

#include <linux/types.h>
#include <linux/ioctl.h>

#if !defined(__KERNEL__) && !defined(__user)
#define __user
#endif

#define VFIO_API_VERSION	0

/* What VFIO_CHECK_EXTENSION can be asked about; 1, 2, 3, 6, 7, 8 are also kinds
 * of IOMMU for VFIO_SET_IOMMU.
 */
#define VFIO_TYPE1_IOMMU		1
#define VFIO_SPAPR_TCE_IOMMU		2
#define VFIO_TYPE1v2_IOMMU		3
#define VFIO_DMA_CC_IOMMU		4	/* DMA snoops the caches */
#define VFIO_EEH			5
#define VFIO_TYPE1_NESTING_IOMMU	6
#define VFIO_SPAPR_TCE_v2_IOMMU		7
#define VFIO_NOIOMMU_IOMMU		8
#define VFIO_UNMAP_ALL			9
#define VFIO_UPDATE_VADDR		10

#define VFIO_TYPE	(';')
#define VFIO_BASE	100

/**
 * DOC: What the structs have in common
 *
 * Most begin with @argsz, the bytes that the caller has room for, and @flags.
 * A caller with an @argsz below the first version of a struct gets EINVAL; a
 * longer one than the kernel knows is fine, but in BIND, ATTACH and DETACH the
 * surplus has to be zero (E2BIG). Where the kernel has more to say than fits,
 * it sets @argsz to the room needed.
 *
 * Flags that are not known give EINVAL, memory that cannot be read or written
 * EFAULT, ioctls that the device or its driver does not have ENOTTY.
 */

/**
 * struct vfio_info_cap_header - begins each link of a capability chain
 * @id: what it is; the meaning depends on the ioctl
 * @version: its layout
 * @next: distance of the next link from the start of the ioctl's struct, in
 *	bytes; 0 in the last
 */
struct vfio_info_cap_header {
	__u16 id;
	__u16 version;
	__u32 next;
};

/* ---- container files: /dev/vfio/vfio ---- */

/**
 * VFIO_GET_API_VERSION - ask a container for the version of this interface
 *
 * No argument. Returns VFIO_API_VERSION, which has been 0 from the beginning; a
 * program that gets anything else should give up. Cannot fail.
 */
#define VFIO_GET_API_VERSION	_IO(VFIO_TYPE, VFIO_BASE + 0)

/**
 * VFIO_CHECK_EXTENSION - ask a container whether it has an extension
 *
 * The argument is the number itself, one of VFIO_TYPE1_IOMMU and those that
 * follow it above, not an address. Returns 1 if it is there, 0 if it is not and
 * for numbers that nobody knows. VFIO_DMA_CC_IOMMU is about the groups that are
 * in the container now: yes if their IOMMUs enforce that DMA snoops the caches.
 */
#define VFIO_CHECK_EXTENSION	_IO(VFIO_TYPE, VFIO_BASE + 1)

/**
 * VFIO_SET_IOMMU - say once how a container is to translate
 *
 * The argument is the number of the kind itself, not an address. Returns 0.
 * Type1 and type1v2 differ in UNMAP_DMA alone: a range that would cut a mapping
 * is refused by v2; v1 takes the mappings that begin within the range, whole.
 *
 * EINVAL: no group is in the container, or its kind has been set.
 * ENODEV: no container here has this kind; groups without an IOMMU go with
 * VFIO_NOIOMMU_IOMMU only.
 */
#define VFIO_SET_IOMMU		_IO(VFIO_TYPE, VFIO_BASE + 2)

/* ---- group files: /dev/vfio/N ---- */

/**
 * struct vfio_group_status - for VFIO_GROUP_GET_STATUS
 * @argsz: bytes of room
 * @flags: out: VFIO_GROUP_FLAGS_VIABLE when no kernel driver uses a device of
 *	the group, VFIO_GROUP_FLAGS_CONTAINER_SET when it is in a container
 */
struct vfio_group_status {
	__u32 argsz;
	__u32 flags;
#define VFIO_GROUP_FLAGS_VIABLE		(1 << 0)
#define VFIO_GROUP_FLAGS_CONTAINER_SET	(1 << 1)
};
#define VFIO_GROUP_GET_STATUS	_IO(VFIO_TYPE, VFIO_BASE + 3)

/**
 * VFIO_GROUP_SET_CONTAINER - put a group into a container
 *
 * The argument is the address of an int, the descriptor of an open
 * /dev/vfio/vfio or /dev/iommu. Returns 0. All physical devices of the group
 * move to the container's address space, and what is mapped there is pinned: all
 * of them, or on failure none.
 *
 * EINVAL: the group has a container; the descriptor is of another kind of file;
 * a device does not snoop though KVM was told so.
 * EADDRINUSE: something is mapped or allowed where a device cannot go.
 * EBADF: the descriptor is not open.
 * ENODEV: the devices have been taken away.
 * EBUSY: a kernel driver has a device of the group.
 * EPERM: interrupts that are not isolated, or firmware that does DMA, as for
 * VFIO_DEVICE_BIND_IOMMUFD; without an IOMMU: no CAP_SYS_RAWIO, or groups that
 * have one are in the container.
 * ENOMEM, EFAULT: what is mapped cannot be pinned.
 */
#define VFIO_GROUP_SET_CONTAINER	_IO(VFIO_TYPE, VFIO_BASE + 4)

/**
 * VFIO_GROUP_UNSET_CONTAINER - take a group out of its container
 *
 * No argument. Returns 0; DMA of its devices is blocked then. When the last group
 * goes, so does all that was mapped, unless the container is a /dev/iommu. The
 * close of the group's last file does the same.
 *
 * EINVAL: it is in none.
 * EBUSY: a device of the group is open.
 */
#define VFIO_GROUP_UNSET_CONTAINER	_IO(VFIO_TYPE, VFIO_BASE + 5)

/**
 * VFIO_GROUP_GET_DEVICE_FD - open a device of a group
 *
 * The argument is the address of a string that ends in 0, at most a page long:
 * what the device is called in sysfs, such as 0000:01:00.0, for PCI with
 * " vf_token=UUID" behind it where a VF wants one. Returns a descriptor of the
 * device, close-on-exec, which behaves like a bound and attached file of
 * /dev/vfio/devices.
 *
 * EINVAL: the group has no container, or VFIO_SET_IOMMU is still to come; the
 * string is too long.
 * ENODEV: the group has no device of that name.
 * EACCES: the VF token is wrong, or missing.
 * EPERM: without an IOMMU: no CAP_SYS_RAWIO.
 * EMFILE: no descriptor is free.
 * A device that has joined the group since SET_CONTAINER is bound and attached by
 * this call, with the errors of that one; the driver's own opening can fail, too.
 */
#define VFIO_GROUP_GET_DEVICE_FD	_IO(VFIO_TYPE, VFIO_BASE + 6)

/* ---- device files ---- */

/**
 * struct vfio_device_info - for VFIO_DEVICE_GET_INFO: what the device is
 * @argsz: bytes of room. Out: bytes needed, capabilities included
 * @flags: out: its bus, what it can do, and whether @cap_offset is set
 * @num_regions: out: regions are numbered from 0 to below this
 * @num_irqs: out: interrupt indexes are numbered from 0 to below this
 * @cap_offset: out: distance of the first capability, 0 if none or no room
 * @pad: out: 0
 */
struct vfio_device_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_FLAGS_RESET		(1 << 0)	/* has VFIO_DEVICE_RESET */
#define VFIO_DEVICE_FLAGS_PCI		(1 << 1)
#define VFIO_DEVICE_FLAGS_PLATFORM	(1 << 2)
#define VFIO_DEVICE_FLAGS_AMBA		(1 << 3)
#define VFIO_DEVICE_FLAGS_CCW		(1 << 4)
#define VFIO_DEVICE_FLAGS_AP		(1 << 5)
#define VFIO_DEVICE_FLAGS_FSL_MC	(1 << 6)
#define VFIO_DEVICE_FLAGS_CAPS		(1 << 7)
#define VFIO_DEVICE_FLAGS_CDX		(1 << 8)
	__u32 num_regions;
	__u32 num_irqs;
	__u32 cap_offset;
	__u32 pad;
};
#define VFIO_DEVICE_GET_INFO	_IO(VFIO_TYPE, VFIO_BASE + 7)

/* The buses by name, as a mediated device's "device_api" attribute has them. */
#define VFIO_DEVICE_API_PCI_STRING	"vfio-pci"
#define VFIO_DEVICE_API_PLATFORM_STRING	"vfio-platform"
#define VFIO_DEVICE_API_AMBA_STRING	"vfio-amba"
#define VFIO_DEVICE_API_CCW_STRING	"vfio-ccw"
#define VFIO_DEVICE_API_AP_STRING	"vfio-ap"

/* Capabilities of a device; linux/vfio_zdev.h describes the first four. */
#define VFIO_DEVICE_INFO_CAP_ZPCI_BASE		1
#define VFIO_DEVICE_INFO_CAP_ZPCI_GROUP		2
#define VFIO_DEVICE_INFO_CAP_ZPCI_UTIL		3
#define VFIO_DEVICE_INFO_CAP_ZPCI_PFIP		4
#define VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP	5

/**
 * struct vfio_device_info_cap_pci_atomic_comp - atomics that reach the host
 * @header: id VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP
 * @flags: widths in bits that the root port completes
 * @reserved: 0
 */
struct vfio_device_info_cap_pci_atomic_comp {
	struct vfio_info_cap_header header;
	__u32 flags;
#define VFIO_PCI_ATOMIC_COMP32	(1 << 0)
#define VFIO_PCI_ATOMIC_COMP64	(1 << 1)
#define VFIO_PCI_ATOMIC_COMP128	(1 << 2)
	__u32 reserved;
};

/**
 * struct vfio_region_info - for VFIO_DEVICE_GET_REGION_INFO
 * @argsz: bytes of room. Out: bytes needed, capabilities included
 * @flags: out: how it may be accessed, and whether there are capabilities
 * @index: which region
 * @cap_offset: out: distance of the first capability, 0 if none or no room
 * @size: out: in bytes; 0 when the device does not have it
 * @offset: out: where it begins in the device file, for read, write and mmap
 */
struct vfio_region_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_REGION_INFO_FLAG_READ	(1 << 0)
#define VFIO_REGION_INFO_FLAG_WRITE	(1 << 1)
#define VFIO_REGION_INFO_FLAG_MMAP	(1 << 2)
#define VFIO_REGION_INFO_FLAG_CAPS	(1 << 3)
	__u32 index;
	__u32 cap_offset;
	__u64 size;
	__u64 offset;
};
#define VFIO_DEVICE_GET_REGION_INFO	_IO(VFIO_TYPE, VFIO_BASE + 8)

/* Capabilities of a region. */
#define VFIO_REGION_INFO_CAP_SPARSE_MMAP	1
#define VFIO_REGION_INFO_CAP_TYPE		2
#define VFIO_REGION_INFO_CAP_MSIX_MAPPABLE	3	/* no body */
#define VFIO_REGION_INFO_CAP_NVLINK2_SSATGT	4
#define VFIO_REGION_INFO_CAP_NVLINK2_LNKSPD	5

/**
 * struct vfio_region_sparse_mmap_area - a part of a region
 * @offset: from the start of the region, in bytes
 * @size: in bytes
 */
struct vfio_region_sparse_mmap_area {
	__u64 offset;
	__u64 size;
};

/**
 * struct vfio_region_info_cap_sparse_mmap - only these parts can be mmapped
 * @header: id VFIO_REGION_INFO_CAP_SPARSE_MMAP
 * @nr_areas: entries
 * @reserved: 0
 * @areas: the parts
 */
struct vfio_region_info_cap_sparse_mmap {
	struct vfio_info_cap_header header;
	__u32 nr_areas;
	__u32 reserved;
	struct vfio_region_sparse_mmap_area areas[];
};

/**
 * struct vfio_region_info_cap_type - what a region beyond the bus's own ones is
 * @header: id VFIO_REGION_INFO_CAP_TYPE
 * @type: who defines it: a PCI vendor, or one of VFIO_REGION_TYPE_*
 * @subtype: which one
 */
struct vfio_region_info_cap_type {
	struct vfio_info_cap_header header;
	__u32 type;
	__u32 subtype;
};

#define VFIO_REGION_TYPE_PCI_VENDOR_TYPE	(1 << 31)
#define VFIO_REGION_TYPE_PCI_VENDOR_MASK	(0xffff)
#define VFIO_REGION_TYPE_GFX			(1)
#define VFIO_REGION_TYPE_CCW			(2)
#define VFIO_REGION_TYPE_MIGRATION_DEPRECATED	(3)

/* of vendor 8086 */
#define VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION	(1)
#define VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG	(2)
#define VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG	(3)

/* of vendor 10de, and of vendor 1014; no driver offers them any more */
#define VFIO_REGION_SUBTYPE_NVIDIA_NVLINK2_RAM	(1)
#define VFIO_REGION_SUBTYPE_IBM_NVLINK2_ATSD	(1)

/* of VFIO_REGION_TYPE_GFX */
#define VFIO_REGION_SUBTYPE_GFX_EDID		(1)

/* of VFIO_REGION_TYPE_CCW */
#define VFIO_REGION_SUBTYPE_CCW_ASYNC_CMD	(1)
#define VFIO_REGION_SUBTYPE_CCW_SCHIB		(2)
#define VFIO_REGION_SUBTYPE_CCW_CRW		(3)

/* of VFIO_REGION_TYPE_MIGRATION_DEPRECATED */
#define VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED	(1)

/**
 * struct vfio_region_gfx_edid - head of the region that sets a monitor's EDID
 * @edid_offset: where in the region the EDID blob goes; read only
 * @edid_max_size: room for it in bytes; read only
 * @edid_size: its length in bytes
 * @max_xres: widest mode, 0 for no limit; read only
 * @max_yres: highest mode, 0 for no limit; read only
 * @link_state: whether a monitor is plugged in; set it down, write the blob and
 *	its length, then set it up
 */
struct vfio_region_gfx_edid {
	__u32 edid_offset;
	__u32 edid_max_size;
	__u32 edid_size;
	__u32 max_xres;
	__u32 max_yres;
	__u32 link_state;
#define VFIO_DEVICE_GFX_LINK_STATE_UP	1
#define VFIO_DEVICE_GFX_LINK_STATE_DOWN	2
};

/**
 * struct vfio_device_migration_info - head of the former migration region
 * @device_state: bits VFIO_DEVICE_STATE_V1_*
 * @reserved: 0
 * @pending_bytes: left to save; read only
 * @data_offset: where in the region the next data is; read only
 * @data_size: how much, in bytes
 *
 * Version 1 of migration: no driver here has it. See
 * VFIO_DEVICE_FEATURE_MIGRATION.
 */
struct vfio_device_migration_info {
	__u32 device_state;
#define VFIO_DEVICE_STATE_V1_STOP	(0)
#define VFIO_DEVICE_STATE_V1_RUNNING	(1 << 0)
#define VFIO_DEVICE_STATE_V1_SAVING	(1 << 1)
#define VFIO_DEVICE_STATE_V1_RESUMING	(1 << 2)
#define VFIO_DEVICE_STATE_MASK \
	(VFIO_DEVICE_STATE_V1_RUNNING | VFIO_DEVICE_STATE_V1_SAVING | \
	 VFIO_DEVICE_STATE_V1_RESUMING)

/* RESUMING goes with no other bit. */
#define VFIO_DEVICE_STATE_VALID(state) \
	(!((state) & VFIO_DEVICE_STATE_V1_RESUMING) || \
	 ((state) & VFIO_DEVICE_STATE_MASK) == VFIO_DEVICE_STATE_V1_RESUMING)

/* SAVING and RESUMING together stand for a device beyond repair. */
#define VFIO_DEVICE_STATE_IS_ERROR(state) \
	(((state) & VFIO_DEVICE_STATE_MASK) == \
	 (VFIO_DEVICE_STATE_V1_RESUMING | VFIO_DEVICE_STATE_V1_SAVING))
#define VFIO_DEVICE_STATE_SET_ERROR(state) \
	(((state) & ~VFIO_DEVICE_STATE_MASK) | \
	 VFIO_DEVICE_STATE_V1_RESUMING | VFIO_DEVICE_STATE_V1_SAVING)
	__u32 reserved;
	__u64 pending_bytes;
	__u64 data_offset;
	__u64 data_size;
};

/**
 * struct vfio_region_info_cap_nvlink2_ssatgt - where a GPU's memory appears
 * @header: id VFIO_REGION_INFO_CAP_NVLINK2_SSATGT
 * @tgt: compressed address
 */
struct vfio_region_info_cap_nvlink2_ssatgt {
	struct vfio_info_cap_header header;
	__u64 tgt;
};

/**
 * struct vfio_region_info_cap_nvlink2_lnkspd - speed of an NVLink
 * @header: id VFIO_REGION_INFO_CAP_NVLINK2_LNKSPD
 * @link_speed: as the device tree gives it
 * @__pad: 0
 */
struct vfio_region_info_cap_nvlink2_lnkspd {
	struct vfio_info_cap_header header;
	__u32 link_speed;
	__u32 __pad;
};

/**
 * struct vfio_irq_info - for VFIO_DEVICE_GET_IRQ_INFO
 * @argsz: bytes of room
 * @flags: out: how the interrupts can be used
 * @index: which kind
 * @count: out: vectors there are of it
 */
struct vfio_irq_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_IRQ_INFO_EVENTFD		(1 << 0)
#define VFIO_IRQ_INFO_MASKABLE		(1 << 1)
#define VFIO_IRQ_INFO_AUTOMASKED	(1 << 2)	/* masked when it fires */
#define VFIO_IRQ_INFO_NORESIZE		(1 << 3)	/* set up as one block */
	__u32 index;
	__u32 count;
};
#define VFIO_DEVICE_GET_IRQ_INFO	_IO(VFIO_TYPE, VFIO_BASE + 9)

/**
 * struct vfio_irq_set - for VFIO_DEVICE_SET_IRQS
 * @argsz: bytes passed, @data included
 * @flags: one DATA and one ACTION
 * @index: which kind
 * @start: first vector
 * @count: vectors; 0 with DATA_NONE and ACTION_TRIGGER switches all off
 * @data: nothing, a byte per vector (0: leave it alone), or an __s32 per vector
 *	(an eventfd to signal, -1 for none)
 *
 * TRIGGER with eventfds connects them; TRIGGER without fires those connected.
 */
struct vfio_irq_set {
	__u32 argsz;
	__u32 flags;
#define VFIO_IRQ_SET_DATA_NONE		(1 << 0)
#define VFIO_IRQ_SET_DATA_BOOL		(1 << 1)
#define VFIO_IRQ_SET_DATA_EVENTFD	(1 << 2)
#define VFIO_IRQ_SET_ACTION_MASK	(1 << 3)
#define VFIO_IRQ_SET_ACTION_UNMASK	(1 << 4)
#define VFIO_IRQ_SET_ACTION_TRIGGER	(1 << 5)
	__u32 index;
	__u32 start;
	__u32 count;
	__u8 data[];
};
#define VFIO_DEVICE_SET_IRQS	_IO(VFIO_TYPE, VFIO_BASE + 10)

#define VFIO_IRQ_SET_DATA_TYPE_MASK \
	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | \
	 VFIO_IRQ_SET_DATA_EVENTFD)
#define VFIO_IRQ_SET_ACTION_TYPE_MASK \
	(VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | \
	 VFIO_IRQ_SET_ACTION_TRIGGER)

/**
 * VFIO_DEVICE_RESET - bring one device back to where it began
 *
 * No argument. Returns 0 when the device is usable again; other devices are not
 * touched. Mappings and eventfds stay. What the device did is stopped, its
 * registers and the settings in its config space begin anew.
 *
 * EINVAL, ENOTTY: a device without VFIO_DEVICE_FLAGS_RESET has no such reset.
 * EAGAIN: the kernel is at work on the device just now; nothing was done.
 */
#define VFIO_DEVICE_RESET	_IO(VFIO_TYPE, VFIO_BASE + 11)

/* Regions and interrupts of a PCI device. Those it lacks have size or count 0;
 * further ones are found by their VFIO_REGION_INFO_CAP_TYPE.
 */
enum {
	VFIO_PCI_BAR0_REGION_INDEX,
	VFIO_PCI_BAR1_REGION_INDEX,
	VFIO_PCI_BAR2_REGION_INDEX,
	VFIO_PCI_BAR3_REGION_INDEX,
	VFIO_PCI_BAR4_REGION_INDEX,
	VFIO_PCI_BAR5_REGION_INDEX,
	VFIO_PCI_ROM_REGION_INDEX,
	VFIO_PCI_CONFIG_REGION_INDEX,
	VFIO_PCI_VGA_REGION_INDEX,	/* 0xa0000 up, and the ports at 0x3b0 */
	VFIO_PCI_NUM_REGIONS = 9
};

enum {
	VFIO_PCI_INTX_IRQ_INDEX,
	VFIO_PCI_MSI_IRQ_INDEX,
	VFIO_PCI_MSIX_IRQ_INDEX,
	VFIO_PCI_ERR_IRQ_INDEX,
	VFIO_PCI_REQ_IRQ_INDEX,		/* the driver wants the device back */
	VFIO_PCI_NUM_IRQS
};

/* The same of a channel I/O device (s390). */
enum {
	VFIO_CCW_CONFIG_REGION_INDEX,
	VFIO_CCW_NUM_REGIONS
};

enum {
	VFIO_CCW_IO_IRQ_INDEX,
	VFIO_CCW_CRW_IRQ_INDEX,
	VFIO_CCW_REQ_IRQ_INDEX,
	VFIO_CCW_NUM_IRQS
};

/* The interrupt of an adjunct processor (s390). */
enum {
	VFIO_AP_REQ_IRQ_INDEX,
	VFIO_AP_NUM_IRQS
};

/**
 * struct vfio_pci_dependent_device - a function that is reset along
 * @group_id: its IOMMU group
 * @devid: in its place, when the info says DEV_ID: its ID in the iommufd of the
 *	caller, VFIO_PCI_DEVID_OWNED when the iommufd owns it but it has no ID
 *	there, VFIO_PCI_DEVID_NOT_OWNED when it does not
 * @segment: PCI segment
 * @bus: PCI bus
 * @devfn: device times 8 plus function
 */
struct vfio_pci_dependent_device {
	union {
		__u32 group_id;
		__u32 devid;
#define VFIO_PCI_DEVID_OWNED		0
#define VFIO_PCI_DEVID_NOT_OWNED	-1
	};
	__u16 segment;
	__u8 bus;
	__u8 devfn;
};

/**
 * struct vfio_pci_hot_reset_info - for VFIO_DEVICE_GET_PCI_HOT_RESET_INFO
 * @argsz: bytes of room
 * @flags: out: DEV_ID when entries hold @devid (device opened by its cdev),
 *	DEV_ID_OWNED when the caller's iommufd owns every one of them
 * @count: out: entries there are; with ENOSPC, how many there is to be room for
 * @devices: out: what a reset of the bus or slot takes along, this device too
 *
 * ENOSPC when there is no room for all; ENODEV when it cannot be reset so.
 */
struct vfio_pci_hot_reset_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID		(1 << 0)
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED	(1 << 1)
	__u32 count;
	struct vfio_pci_dependent_device devices[];
};
#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO	_IO(VFIO_TYPE, VFIO_BASE + 12)

/**
 * struct vfio_pci_hot_reset - for VFIO_DEVICE_PCI_HOT_RESET
 * @argsz: bytes passed, @group_fds included
 * @flags: 0
 * @count: entries; 0 for a device opened by its cdev
 * @group_fds: open files of every group that is affected
 *
 * Resets the bus or slot. With no entries, the device's iommufd has to own all
 * that is affected.
 */
struct vfio_pci_hot_reset {
	__u32 argsz;
	__u32 flags;
	__u32 count;
	__s32 group_fds[];
};
#define VFIO_DEVICE_PCI_HOT_RESET	_IO(VFIO_TYPE, VFIO_BASE + 13)

/**
 * struct vfio_device_gfx_plane_info - for VFIO_DEVICE_QUERY_GFX_PLANE
 * @argsz: bytes of room
 * @flags: TYPE_DMABUF or TYPE_REGION for what is wanted, with TYPE_PROBE to
 *	only ask whether there is such a thing
 * @drm_plane_type: a DRM_PLANE_TYPE_*
 * @drm_format: out: a DRM fourcc
 * @drm_format_mod: out: its tiling
 * @width: out: in pixels
 * @height: out: in pixels
 * @stride: out: from line to line, in bytes
 * @size: out: in bytes, whole pages
 * @x_pos: out: of a cursor
 * @y_pos: out: of a cursor
 * @x_hot: out: hot spot of a cursor
 * @y_hot: out: hot spot of a cursor
 * @region_index: out: TYPE_REGION: where the pixels are
 * @dmabuf_id: out: TYPE_DMABUF: for VFIO_DEVICE_GET_GFX_DMABUF
 * @reserved: 0
 */
struct vfio_device_gfx_plane_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_GFX_PLANE_TYPE_PROBE	(1 << 0)
#define VFIO_GFX_PLANE_TYPE_DMABUF	(1 << 1)
#define VFIO_GFX_PLANE_TYPE_REGION	(1 << 2)
	__u32 drm_plane_type;
	__u32 drm_format;
	__u64 drm_format_mod;
	__u32 width;
	__u32 height;
	__u32 stride;
	__u32 size;
	__u32 x_pos;
	__u32 y_pos;
	__u32 x_hot;
	__u32 y_hot;
	union {
		__u32 region_index;
		__u32 dmabuf_id;
	};
	__u32 reserved;
};
#define VFIO_DEVICE_QUERY_GFX_PLANE	_IO(VFIO_TYPE, VFIO_BASE + 14)

/**
 * VFIO_DEVICE_GET_GFX_DMABUF - the pixels of a plane as a dma-buf
 *
 * The argument is the address of a __u32, the @dmabuf_id that
 * VFIO_DEVICE_QUERY_GFX_PLANE gave. Returns a descriptor; the plane's format is
 * what that call said.
 *
 * ENOTTY: a device without a display. EINVAL and other errors are the driver's.
 */
#define VFIO_DEVICE_GET_GFX_DMABUF	_IO(VFIO_TYPE, VFIO_BASE + 15)

/**
 * struct vfio_device_ioeventfd - for VFIO_DEVICE_IOEVENTFD: signal to register
 * @argsz: bytes passed
 * @flags: exactly one width
 * @offset: where in the device file
 * @data: what to write there
 * @fd: eventfd to wait for, -1 to stop
 * @reserved: 0
 */
struct vfio_device_ioeventfd {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_IOEVENTFD_8		(1 << 0)
#define VFIO_DEVICE_IOEVENTFD_16	(1 << 1)
#define VFIO_DEVICE_IOEVENTFD_32	(1 << 2)
#define VFIO_DEVICE_IOEVENTFD_64	(1 << 3)
#define VFIO_DEVICE_IOEVENTFD_SIZE_MASK	(0xf)
	__u64 offset;
	__u64 data;
	__s32 fd;
	__u32 reserved;
};
#define VFIO_DEVICE_IOEVENTFD	_IO(VFIO_TYPE, VFIO_BASE + 16)

/**
 * struct vfio_device_feature - for VFIO_DEVICE_FEATURE
 * @argsz: bytes passed, @data included
 * @flags: number of a feature in the low half, and GET, SET, or PROBE; with
 *	PROBE nothing is done, and GET and SET ask whether they would work
 * @data: what the feature defines
 *
 * ENOTTY for a feature that the device does not have, EINVAL for a wrong
 * combination of flags or too few bytes.
 */
struct vfio_device_feature {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_FEATURE_MASK	(0xffff)
#define VFIO_DEVICE_FEATURE_GET		(1 << 16)
#define VFIO_DEVICE_FEATURE_SET		(1 << 17)
#define VFIO_DEVICE_FEATURE_PROBE	(1 << 18)
	__u8 data[];
};
#define VFIO_DEVICE_FEATURE	_IO(VFIO_TYPE, VFIO_BASE + 17)

/**
 * struct vfio_device_bind_iommufd - for VFIO_DEVICE_BIND_IOMMUFD
 * @argsz: bytes passed
 * @flags: 0, or VFIO_DEVICE_BIND_FLAG_TOKEN when @token_uuid_ptr is given
 * @iommufd: descriptor of an open /dev/iommu
 * @out_devid: out: the device's ID in that context
 * @token_uuid_ptr: address of the 16 bytes of a VF token
 *
 * The first thing to do with a file of /dev/vfio/devices: until it is done all
 * others give EINVAL, read(), write() and mmap() too. It can be done once; the
 * device is given back by close(). Bound is not attached: DMA is blocked. A device
 * with emulated IOMMU (mdev) has no group and no IOMMU; its ID names no device to
 * iommufd, only something in use.
 * An @argsz of 16, without @token_uuid_ptr, is enough.
 *
 * EINVAL: bound already; a file that came from a group; @argsz; @flags.
 * EBADF: @iommufd is not open.
 * EBADFD: @iommufd is open, but no iommufd.
 * EBUSY: another file has this device bound, or a kernel driver has a device
 * of the same IOMMU group.
 * EPERM: the group belongs to another context, the device's interrupts are not
 * isolated (module parameter allow_unsafe_interrupts of iommufd), or firmware
 * does DMA with it.
 * EACCES: the driver wants another VF token, or one at all.
 * ENODEV: the device has been taken away.
 */
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_BIND_FLAG_TOKEN	(1 << 0)
	__s32 iommufd;
	__u32 out_devid;
	__aligned_u64 token_uuid_ptr;
};
#define VFIO_DEVICE_BIND_IOMMUFD	_IO(VFIO_TYPE, VFIO_BASE + 18)

/**
 * struct vfio_device_attach_iommufd_pt - for VFIO_DEVICE_ATTACH_IOMMUFD_PT
 * @argsz: bytes passed
 * @flags: 0, or VFIO_DEVICE_ATTACH_PASID when @pasid is given
 * @pt_id: an IOAS or a HWPT of the context. Out: the HWPT in use
 * @pasid: the PASID to attach
 *
 * From here on the device reaches what is mapped there, and nothing else. A
 * device that is attached moves over; if that fails it stays where it was. A device
 * with emulated IOMMU takes an IOAS only, and @pt_id stays.
 * An @argsz of 12, without @pasid, is enough.
 *
 * EINVAL: not bound; @pt_id is the ID of something else; @argsz; @flags.
 * EOPNOTSUPP: no PASIDs here.
 * ENOENT: @pt_id is the ID of nothing.
 * EADDRINUSE: something is mapped or allowed where the device cannot go.
 * EFAULT, ENOMEM: what is mapped cannot be pinned.
 */
struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_ATTACH_PASID	(1 << 0)
	__u32 pt_id;
	__u32 pasid;
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT	_IO(VFIO_TYPE, VFIO_BASE + 19)

/**
 * struct vfio_device_detach_iommufd_pt - for VFIO_DEVICE_DETACH_IOMMUFD_PT
 * @argsz: bytes passed
 * @flags: 0, or VFIO_DEVICE_DETACH_PASID when @pasid is given
 * @pasid: the PASID to detach
 *
 * DMA is blocked when it returns. An @argsz of 8, without @pasid, is enough.
 *
 * EINVAL: not attached, not bound; @argsz; @flags.
 * EOPNOTSUPP: no PASIDs here.
 */
struct vfio_device_detach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_DETACH_PASID	(1 << 0)
	__u32 pasid;
};
#define VFIO_DEVICE_DETACH_IOMMUFD_PT	_IO(VFIO_TYPE, VFIO_BASE + 20)

/* ---- features ---- */

/**
 * VFIO_DEVICE_FEATURE_PCI_VF_TOKEN - SET: the secret of a PF's VFs
 *
 * The data is 16 bytes, a UUID. Whoever opens a VF has to know it. ENOTTY on what
 * is not a PF.
 */
#define VFIO_DEVICE_FEATURE_PCI_VF_TOKEN	(0)

/**
 * struct vfio_device_feature_migration - GET: what migration can do
 * @flags: STOP_COPY always; P2P and PRE_COPY for the states of that name
 */
struct vfio_device_feature_migration {
	__aligned_u64 flags;
#define VFIO_MIGRATION_STOP_COPY	(1 << 0)
#define VFIO_MIGRATION_P2P		(1 << 1)
#define VFIO_MIGRATION_PRE_COPY		(1 << 2)
};
#define VFIO_DEVICE_FEATURE_MIGRATION	1

/**
 * struct vfio_device_feature_mig_state - GET, SET: state of migration
 * @device_state: of &enum vfio_device_mig_state
 * @data_fd: out: descriptor of the data stream that belongs to the new state,
 *	-1 if it has none
 *
 * A SET passes through the states in between. If it fails, a GET tells where
 * the device has come to rest.
 */
struct vfio_device_feature_mig_state {
	__u32 device_state;
	__s32 data_fd;
};
#define VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE	2

/**
 * enum vfio_device_mig_state - states of migration
 * @VFIO_DEVICE_STATE_ERROR: lost; only a reset helps
 * @VFIO_DEVICE_STATE_STOP: does nothing, changes nothing
 * @VFIO_DEVICE_STATE_RUNNING: works
 * @VFIO_DEVICE_STATE_STOP_COPY: as STOP, its state can be read
 * @VFIO_DEVICE_STATE_RESUMING: as STOP, a state can be written
 * @VFIO_DEVICE_STATE_RUNNING_P2P: works, but does not address other devices
 * @VFIO_DEVICE_STATE_PRE_COPY: works, and state can be read already
 * @VFIO_DEVICE_STATE_PRE_COPY_P2P: both of the former two
 * @VFIO_DEVICE_STATE_NR: number of states
 */
enum vfio_device_mig_state {
	VFIO_DEVICE_STATE_ERROR = 0,
	VFIO_DEVICE_STATE_STOP = 1,
	VFIO_DEVICE_STATE_RUNNING = 2,
	VFIO_DEVICE_STATE_STOP_COPY = 3,
	VFIO_DEVICE_STATE_RESUMING = 4,
	VFIO_DEVICE_STATE_RUNNING_P2P = 5,
	VFIO_DEVICE_STATE_PRE_COPY = 6,
	VFIO_DEVICE_STATE_PRE_COPY_P2P = 7,
	VFIO_DEVICE_STATE_NR,
};

/**
 * struct vfio_precopy_info - for VFIO_MIG_GET_PRECOPY_INFO, on a data stream
 * @argsz: bytes of room
 * @flags: out: VFIO_PRECOPY_INFO_REINIT when @initial_bytes starts anew
 * @initial_bytes: out: left of what the target wants early
 * @dirty_bytes: out: left of what has changed since
 */
struct vfio_precopy_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_PRECOPY_INFO_REINIT	(1 << 0)
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};
#define VFIO_MIG_GET_PRECOPY_INFO	_IO(VFIO_TYPE, VFIO_BASE + 21)

/**
 * VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY - SET: the device may sleep
 *
 * No data. It wakes when it is next touched through its file, and may sleep again
 * after that. EINVAL if it may already.
 */
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY	3

/**
 * struct vfio_device_low_power_entry_with_wakeup - SET: sleep, and tell
 * @wakeup_eventfd: signalled when the device wakes by itself
 * @reserved: 0
 */
struct vfio_device_low_power_entry_with_wakeup {
	__s32 wakeup_eventfd;
	__u32 reserved;
};
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP	4

/**
 * VFIO_DEVICE_FEATURE_LOW_POWER_EXIT - SET: the device is to stay awake
 *
 * No data. The end of either LOW_POWER_ENTRY; the device is awake when it returns.
 */
#define VFIO_DEVICE_FEATURE_LOW_POWER_EXIT	5

/**
 * struct vfio_device_feature_dma_logging_control - SET: note what it writes
 * @page_size: wish for the unit, in bytes
 * @num_ranges: entries
 * @__reserved: 0
 * @ranges: address of an array of
 *	&struct vfio_device_feature_dma_logging_range
 */
struct vfio_device_feature_dma_logging_control {
	__aligned_u64 page_size;
	__u32 num_ranges;
	__u32 __reserved;
	__aligned_u64 ranges;
};

/**
 * struct vfio_device_feature_dma_logging_range - a span of IOVA
 * @iova: first byte
 * @length: in bytes
 */
struct vfio_device_feature_dma_logging_range {
	__aligned_u64 iova;
	__aligned_u64 length;
};
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_START	6

/**
 * VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP - SET: note no more what it writes
 *
 * No data. What was noted and not reported is lost.
 */
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP	7

/**
 * struct vfio_device_feature_dma_logging_report - GET: what it has written
 * @iova: first byte of the range asked about
 * @length: of the range, in bytes
 * @page_size: what a bit stands for, in bytes
 * @bitmap: address of the bitmap, 64 bit words; bits are set, never cleared
 */
struct vfio_device_feature_dma_logging_report {
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 bitmap;
};
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT	8

/**
 * struct vfio_device_feature_mig_data_size - GET: how much there is to move
 * @stop_copy_length: estimate of the bytes to read in STOP_COPY
 */
struct vfio_device_feature_mig_data_size {
	__aligned_u64 stop_copy_length;
};
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE	9

/**
 * struct vfio_device_feature_bus_master - SET: may it do DMA?
 * @op: VFIO_DEVICE_FEATURE_CLEAR_MASTER or VFIO_DEVICE_FEATURE_SET_MASTER
 */
struct vfio_device_feature_bus_master {
	__u32 op;
#define VFIO_DEVICE_FEATURE_CLEAR_MASTER	0
#define VFIO_DEVICE_FEATURE_SET_MASTER		1
};
#define VFIO_DEVICE_FEATURE_BUS_MASTER	10

/**
 * struct vfio_region_dma_range - part of a region
 * @offset: from the start of the region, in bytes
 * @length: in bytes
 */
struct vfio_region_dma_range {
	__u64 offset;
	__u64 length;
};

/**
 * struct vfio_device_feature_dma_buf - GET: share device memory as a dma-buf
 * @region_index: where it is
 * @open_flags: for the new descriptor, as for open()
 * @flags: 0
 * @nr_ranges: entries
 * @dma_ranges: the parts to share
 */
struct vfio_device_feature_dma_buf {
	__u32 region_index;
	__u32 open_flags;
	__u32 flags;
	__u32 nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};
#define VFIO_DEVICE_FEATURE_DMA_BUF	11

/**
 * VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 - SET: I know about starting anew
 *
 * No data. From then on VFIO_MIG_GET_PRECOPY_INFO may report
 * VFIO_PRECOPY_INFO_REINIT. No driver of 6.1 does: ENOTTY.
 */
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2	12

/* ---- type1 container ---- */

/**
 * struct vfio_iommu_type1_info - for VFIO_IOMMU_GET_INFO
 * @argsz: bytes of room. Out: bytes needed, capabilities included
 * @flags: out: which fields mean something
 * @iova_pgsizes: out: page sizes that the IOMMU has, one bit each
 * @cap_offset: out: distance of the first capability, 0 if none or no room
 * @pad: out: 0
 */
struct vfio_iommu_type1_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOMMU_INFO_PGSIZES	(1 << 0)
#define VFIO_IOMMU_INFO_CAPS	(1 << 1)
	__u64 iova_pgsizes;
	__u32 cap_offset;
	__u32 pad;
};

/**
 * struct vfio_iova_range - a span of IOVA
 * @start: first byte
 * @end: last byte, included
 */
struct vfio_iova_range {
	__u64 start;
	__u64 end;
};

#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE	1
/**
 * struct vfio_iommu_type1_info_cap_iova_range - where mappings can be
 * @header: id VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE
 * @nr_iovas: entries
 * @reserved: 0
 * @iova_ranges: usable IOVA, in rising order
 */
struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	__u32 nr_iovas;
	__u32 reserved;
	struct vfio_iova_range iova_ranges[];
};

#define VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION	2
/**
 * struct vfio_iommu_type1_info_cap_migration - dirty page tracking is there
 * @header: id VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION
 * @flags: 0
 * @pgsize_bitmap: units of a dirty bitmap, one bit each
 * @max_dirty_bitmap_size: longest bitmap, in bytes
 */
struct vfio_iommu_type1_info_cap_migration {
	struct vfio_info_cap_header header;
	__u32 flags;
	__u64 pgsize_bitmap;
	__u64 max_dirty_bitmap_size;
};

#define VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL	3
/**
 * struct vfio_iommu_type1_info_dma_avail - room for mappings
 * @header: id VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL
 * @avail: how many more can be made
 */
struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	__u32 avail;
};
#define VFIO_IOMMU_GET_INFO	_IO(VFIO_TYPE, VFIO_BASE + 12)

/**
 * struct vfio_iommu_type1_dma_map - for VFIO_IOMMU_MAP_DMA
 * @argsz: bytes passed
 * @flags: what the device may do; VADDR gives a mapping whose address was taken
 *	away a new one
 * @vaddr: address of the memory in the calling process
 * @iova: where devices see it
 * @size: in bytes
 */
struct vfio_iommu_type1_dma_map {
	__u32 argsz;
	__u32 flags;
#define VFIO_DMA_MAP_FLAG_READ	(1 << 0)
#define VFIO_DMA_MAP_FLAG_WRITE	(1 << 1)
#define VFIO_DMA_MAP_FLAG_VADDR	(1 << 2)
	__u64 vaddr;
	__u64 iova;
	__u64 size;
};
#define VFIO_IOMMU_MAP_DMA	_IO(VFIO_TYPE, VFIO_BASE + 13)

/**
 * struct vfio_bitmap - a dirty bitmap
 * @pgsize: what a bit stands for, in bytes
 * @size: of the bitmap, in bytes
 * @data: the bitmap
 */
struct vfio_bitmap {
	__u64 pgsize;
	__u64 size;
	__u64 __user *data;
};

/**
 * struct vfio_iommu_type1_dma_unmap - for VFIO_IOMMU_UNMAP_DMA
 * @argsz: bytes passed, @data included
 * @flags: GET_DIRTY_BITMAP: fill the &struct vfio_bitmap at @data. ALL: the
 *	whole space, @iova and @size are 0. VADDR: keep what is mapped, and let
 *	go of the address only
 * @iova: first byte
 * @size: in bytes. Out: bytes that were mapped
 * @data: what the flags say
 */
struct vfio_iommu_type1_dma_unmap {
	__u32 argsz;
	__u32 flags;
#define VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP	(1 << 0)
#define VFIO_DMA_UNMAP_FLAG_ALL			(1 << 1)
#define VFIO_DMA_UNMAP_FLAG_VADDR		(1 << 2)
	__u64 iova;
	__u64 size;
	__u8 data[];
};
#define VFIO_IOMMU_UNMAP_DMA	_IO(VFIO_TYPE, VFIO_BASE + 14)

/**
 * VFIO_IOMMU_ENABLE - let the devices of a SPAPR container do DMA
 *
 * No argument. For VFIO_SPAPR_TCE_IOMMU, where the whole window counts as locked
 * memory from then on. Type1 has no such switch: ENOTTY.
 */
#define VFIO_IOMMU_ENABLE	_IO(VFIO_TYPE, VFIO_BASE + 15)

/**
 * VFIO_IOMMU_DISABLE - the end of VFIO_IOMMU_ENABLE
 *
 * No argument. ENOTTY in a type1 container.
 */
#define VFIO_IOMMU_DISABLE	_IO(VFIO_TYPE, VFIO_BASE + 16)

/**
 * struct vfio_iommu_type1_dirty_bitmap - for VFIO_IOMMU_DIRTY_PAGES
 * @argsz: bytes passed, @data included
 * @flags: one of START, STOP, GET_BITMAP
 * @data: for GET_BITMAP a &struct vfio_iommu_type1_dirty_bitmap_get
 */
struct vfio_iommu_type1_dirty_bitmap {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_START	(1 << 0)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP	(1 << 1)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP	(1 << 2)
	__u8 data[];
};

/**
 * struct vfio_iommu_type1_dirty_bitmap_get - a question about dirty pages
 * @iova: first byte
 * @size: in bytes
 * @bitmap: where the answer goes
 */
struct vfio_iommu_type1_dirty_bitmap_get {
	__u64 iova;
	__u64 size;
	struct vfio_bitmap bitmap;
};
#define VFIO_IOMMU_DIRTY_PAGES	_IO(VFIO_TYPE, VFIO_BASE + 17)

/* ---- SPAPR container (Power), and EEH ---- */

/**
 * struct vfio_iommu_spapr_tce_ddw_info - windows that can be added
 * @pgsizes: page sizes for them, one bit each
 * @max_dynamic_windows_supported: how many there can be
 * @levels: deepest table
 */
struct vfio_iommu_spapr_tce_ddw_info {
	__u64 pgsizes;
	__u32 max_dynamic_windows_supported;
	__u32 levels;
};

/**
 * struct vfio_iommu_spapr_tce_info - for VFIO_IOMMU_SPAPR_TCE_GET_INFO
 * @argsz: bytes of room
 * @flags: out: VFIO_IOMMU_SPAPR_INFO_DDW when @ddw is set
 * @dma32_window_start: out: first byte of the standard window
 * @dma32_window_size: out: its size in bytes
 * @ddw: out: further windows
 */
struct vfio_iommu_spapr_tce_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOMMU_SPAPR_INFO_DDW	(1 << 0)
	__u32 dma32_window_start;
	__u32 dma32_window_size;
	struct vfio_iommu_spapr_tce_ddw_info ddw;
};
#define VFIO_IOMMU_SPAPR_TCE_GET_INFO	_IO(VFIO_TYPE, VFIO_BASE + 12)

/**
 * struct vfio_eeh_pe_err - an error to inject
 * @type: width of the bus
 * @func: kind of error
 * @addr: address
 * @mask: of the address
 */
struct vfio_eeh_pe_err {
	__u32 type;
	__u32 func;
	__u64 addr;
	__u64 mask;
};

/**
 * struct vfio_eeh_pe_op - for VFIO_EEH_PE_OP: care for a broken endpoint
 * @argsz: bytes passed
 * @flags: 0
 * @op: one of the operations below
 * @err: for VFIO_EEH_PE_INJECT_ERR
 */
struct vfio_eeh_pe_op {
	__u32 argsz;
	__u32 flags;
	__u32 op;
	union {
		struct vfio_eeh_pe_err err;
	};
};
#define VFIO_EEH_PE_DISABLE		0
#define VFIO_EEH_PE_ENABLE		1
#define VFIO_EEH_PE_UNFREEZE_IO		2
#define VFIO_EEH_PE_UNFREEZE_DMA	3
#define VFIO_EEH_PE_GET_STATE		4
#define VFIO_EEH_PE_RESET_DEACTIVATE	5
#define VFIO_EEH_PE_RESET_HOT		6
#define VFIO_EEH_PE_RESET_FUNDAMENTAL	7
#define VFIO_EEH_PE_CONFIGURE		8
#define VFIO_EEH_PE_INJECT_ERR		9

/* what VFIO_EEH_PE_GET_STATE returns */
#define VFIO_EEH_PE_STATE_NORMAL	0
#define VFIO_EEH_PE_STATE_RESET		1
#define VFIO_EEH_PE_STATE_STOPPED	2
#define VFIO_EEH_PE_STATE_STOPPED_DMA	4
#define VFIO_EEH_PE_STATE_UNAVAIL	5

#define VFIO_EEH_PE_OP	_IO(VFIO_TYPE, VFIO_BASE + 21)

/**
 * struct vfio_iommu_spapr_register_memory - for VFIO_IOMMU_SPAPR_REGISTER_MEMORY
 * @argsz: bytes passed
 * @flags: 0
 * @vaddr: address of the memory in the calling process
 * @size: in bytes
 *
 * For VFIO_SPAPR_TCE_v2_IOMMU: memory is announced, and counted as locked, before
 * any of it is mapped. VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY takes the same struct.
 */
struct vfio_iommu_spapr_register_memory {
	__u32 argsz;
	__u32 flags;
	__u64 vaddr;
	__u64 size;
};
#define VFIO_IOMMU_SPAPR_REGISTER_MEMORY	_IO(VFIO_TYPE, VFIO_BASE + 17)

/**
 * VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY - the end of VFIO_IOMMU_SPAPR_REGISTER_MEMORY
 *
 * The argument is the address of a &struct vfio_iommu_spapr_register_memory with
 * the same @vaddr and @size. None of it may be mapped any more.
 */
#define VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY	_IO(VFIO_TYPE, VFIO_BASE + 18)

/**
 * struct vfio_iommu_spapr_tce_create - for VFIO_IOMMU_SPAPR_TCE_CREATE
 * @argsz: bytes passed
 * @flags: 0
 * @page_shift: size of a page, as a power of 2
 * @__resv1: 0
 * @window_size: in bytes
 * @levels: depth of its table
 * @__resv2: 0
 * @start_addr: out: first byte of the new window
 */
struct vfio_iommu_spapr_tce_create {
	__u32 argsz;
	__u32 flags;
	__u32 page_shift;
	__u32 __resv1;
	__u64 window_size;
	__u32 levels;
	__u32 __resv2;
	__u64 start_addr;
};
#define VFIO_IOMMU_SPAPR_TCE_CREATE	_IO(VFIO_TYPE, VFIO_BASE + 19)

/**
 * struct vfio_iommu_spapr_tce_remove - for VFIO_IOMMU_SPAPR_TCE_REMOVE
 * @argsz: bytes passed
 * @flags: 0
 * @start_addr: first byte of the window
 */
struct vfio_iommu_spapr_tce_remove {
	__u32 argsz;
	__u32 flags;
	__u64 start_addr;
};
#define VFIO_IOMMU_SPAPR_TCE_REMOVE	_IO(VFIO_TYPE, VFIO_BASE + 20)

#endif /* _UAPIVFIO_H */
