/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/iommu: I/O address spaces and the page tables that devices translate
 * through, as objects of an open file.
 *
 * Numbers and layouts are those of Linux 6.6 and later. struct iommu_hwpt_alloc
 * and struct iommu_hw_info are as 6.6 had them. A program that passes the longer
 * ones of a later kernel is served as long as what follows is zero; what data
 * for IOMMU_HWPT_ALLOC beyond that gets is said there.
 *
 * Dirty tracking, page faults and all that serves a guest's own IOMMU need what
 * 6.1's IOMMU drivers do not have. Their ioctls (IOMMU_HWPT_SET_DIRTY_TRACKING,
 * _HWPT_GET_DIRTY_BITMAP, _HWPT_INVALIDATE, _FAULT_QUEUE_ALLOC, _VIOMMU_ALLOC,
 * _VDEVICE_ALLOC, _VEVENTQ_ALLOC and _HW_QUEUE_ALLOC) judge their argument as
 * said below, find the objects, and answer EOPNOTSUPP. They touch no memory but
 * the struct.
 */
#ifndef _UAPI_IOMMUFD_H
#define _UAPI_IOMMUFD_H

#include <linux/types.h>
#include <linux/ioctl.h>

#define IOMMUFD_TYPE (';')

/**
 * DOC: What all ioctls have in common
 *
 * An open of /dev/iommu is a context: it starts empty, nothing in it is seen
 * by another open, and closing it frees everything in it. Objects have IDs,
 * which are never 0 and may be given out again after IOMMU_DESTROY.
 *
 * Every ioctl takes a pointer to a struct that begins with its own length in
 * bytes, @size, set by the caller. Addresses travel as 64 bit integers. Input
 * and output share the struct; "out" marks what the kernel writes.
 *
 * Failure is -1 and errno. An ioctl that fails leaves the context as it was,
 * unless its description says otherwise. Valid for all of them:
 *
 * ENOTTY
 *	the number belongs to no ioctl of this kernel
 * EFAULT
 *	the struct, or memory that it points to, cannot be read or written
 * EINVAL
 *	@size is shorter than the struct was in its first version
 * E2BIG
 *	@size is longer than the kernel knows, and the surplus is not all zero
 * EOPNOTSUPP
 *	a flag, a reserved field, or a value in a field has no meaning here:
 *	unknown to this kernel, or beyond the hardware
 * ENOENT
 *	an ID is not in use in this context, or names another kind of object
 * EINVAL
 *	a value is never right; or, where objects of several kinds will do, an
 *	ID names none of those
 * ENOMEM
 *	no kernel memory, or the caller's RLIMIT_MEMLOCK is used up, or what
 *	page tables of a user may take (module parameter table_limit)
 * EINTR
 *	a fatal signal arrived
 *
 * They are judged in this order: number, length, surplus, flags and reserved
 * fields, values, IDs, and last the state of the objects.
 */
enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = IOMMUFD_CMD_BASE,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
};

/**
 * struct iommu_destroy - for IOMMU_DESTROY: free an object
 * @size: bytes passed
 * @id: the object, of whatever kind
 *
 * An IOAS takes its mappings along. A device object belongs to the file that
 * was bound and cannot be freed here.
 *
 * EBUSY while another object needs this one, or a slow ioctl is at work in it.
 */
struct iommu_destroy {
	__u32 size;
	__u32 id;
};
#define IOMMU_DESTROY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)

/**
 * struct iommu_ioas_alloc - for IOMMU_IOAS_ALLOC: make an address space
 * @size: bytes passed
 * @flags: 0
 * @out_ioas_id: out: the new IOAS
 *
 * An IOAS (I/O address space) maps IOVA, which devices use, to memory of the
 * process. It is independent of any device: mapped memory appears in each
 * page table that is made for it, now or later.
 */
struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};
#define IOMMU_IOAS_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)

/**
 * struct iommu_iova_range - a span of IOVA
 * @start: first byte
 * @last: last byte, included
 */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

/**
 * struct iommu_ioas_iova_ranges - for IOMMU_IOAS_IOVA_RANGES: usable IOVA
 * @size: bytes passed
 * @ioas_id: the IOAS to look at
 * @num_iovas: room in the array, in entries. Out: entries that there are
 * @__reserved: 0
 * @allowed_iovas: address of an array of &struct iommu_iova_range, to be filled
 * @out_iova_alignment: out: what IOVA, length and user address of a mapping
 *	must be a multiple of, in bytes
 *
 * Lists, in rising order, where a mapping may be: all of the 64 bit space less
 * what a device in use cannot translate or has reserved, such as the doorbell
 * of its interrupts. Each attach may narrow the answer, and each detach may
 * widen it. It does not depend on what is mapped or on IOMMU_IOAS_ALLOW_IOVAS.
 *
 * EMSGSIZE when the array is too short: as many entries as fit have been
 * written, and @num_iovas and @out_iova_alignment too. With room for 0 entries
 * the array is not touched.
 */
struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
	__aligned_u64 out_iova_alignment;
};
#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)

/**
 * struct iommu_ioas_allow_iovas - for IOMMU_IOAS_ALLOW_IOVAS: set IOVA aside
 * @size: bytes passed
 * @ioas_id: the IOAS
 * @num_iovas: entries in the array; 0 lifts the restriction
 * @__reserved: 0
 * @allowed_iovas: address of an array of &struct iommu_iova_range
 *
 * Does two things with the listed ranges, which replace those of an earlier
 * call. An IOVA that the kernel chooses comes from them only. And an attach
 * that would take any part of them away fails, with EADDRINUSE. Mappings that
 * exist, and those with an IOVA of the caller's choice, may lie outside.
 *
 * EADDRINUSE when a range meets what a device has reserved already; EINVAL when
 * a range begins behind its end, or two of them overlap.
 */
struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
};
#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)

/**
 * enum iommufd_ioas_map_flags - @flags of MAP, MAP_FILE and COPY
 * @IOMMU_IOAS_MAP_FIXED_IOVA: use the IOVA in the struct; otherwise the kernel
 *	finds one, aligned to the lowest bit set in the length
 * @IOMMU_IOAS_MAP_WRITEABLE: the device may write to the memory; some IOMMU
 *	drivers (6.1's for Intel) cannot keep it from reading then
 * @IOMMU_IOAS_MAP_READABLE: the device may read from the memory
 */
enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0,
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

/**
 * struct iommu_ioas_map - for IOMMU_IOAS_MAP: give memory an IOVA
 * @size: bytes passed
 * @flags: of &enum iommufd_ioas_map_flags
 * @ioas_id: the IOAS
 * @__reserved: 0
 * @user_va: address of the memory in the calling process
 * @length: in bytes
 * @iova: where to, with FIXED_IOVA. Out: where it is
 *
 * While a device translates through the IOAS the pages are pinned and count
 * towards RLIMIT_MEMLOCK. They stay what they are at that moment: a later
 * munmap() or mmap() of the address does not reach the device. Until then
 * nothing is pinned, and the address need not exist.
 *
 * EINVAL: no permission asked for; length 0; length, address or IOVA not
 * aligned as IOMMU_IOAS_IOVA_RANGES says; a fixed IOVA that a device cannot
 * translate or has reserved.
 * EOVERFLOW: user memory or IOVA would go past the end of 64 bits.
 * EEXIST: a fixed IOVA meets an existing mapping.
 * ENOSPC: no IOVA free for the length.
 * EFAULT: to be pinned, but not all there, or not writeable and asked to be.
 * ENOMEM: RLIMIT_MEMLOCK reached, for a caller without CAP_IPC_LOCK.
 */
struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define IOMMU_IOAS_MAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)

/**
 * struct iommu_ioas_map_file - for IOMMU_IOAS_MAP_FILE: give a file an IOVA
 * @size: bytes passed
 * @flags: of &enum iommufd_ioas_map_flags
 * @ioas_id: the IOAS
 * @fd: a memfd, or another file of tmpfs or hugetlbfs
 * @start: first byte in the file
 * @length: in bytes
 * @iova: where to, with FIXED_IOVA. Out: where it is
 *
 * As IOMMU_IOAS_MAP, but of a file instead of an address space; what is pinned
 * are the pages that the file has then.
 *
 * EBADF: @fd is not open.
 * EINVAL: a file of another kind; and as IOMMU_IOAS_MAP.
 * EACCES: not open for reading, or for writing and WRITEABLE is asked for.
 */
struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define IOMMU_IOAS_MAP_FILE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_FILE)

/**
 * struct iommu_ioas_copy - for IOMMU_IOAS_COPY: give memory one more IOVA
 * @size: bytes passed
 * @flags: of &enum iommufd_ioas_map_flags; both permission bits may be clear
 * @dst_ioas_id: the IOAS that gets the mapping; may be the source
 * @src_ioas_id: the IOAS that has one
 * @length: in bytes
 * @dst_iova: where to, with FIXED_IOVA. Out: where it is
 * @src_iova: where from; the range may begin and end inside mappings, and
 *	must have no gap
 *
 * The new mapping stands for the memory that the source was made for, whoever
 * calls. Pages that both need are pinned and counted once. It lives on when
 * the source is unmapped.
 *
 * ENOENT: part of the source range is not mapped.
 * EPERM: WRITEABLE is wanted, the source does not have it.
 * EINVAL, EOVERFLOW, EEXIST, ENOSPC: as IOMMU_IOAS_MAP, at the destination.
 */
struct iommu_ioas_copy {
	__u32 size;
	__u32 flags;
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova;
	__aligned_u64 src_iova;
};
#define IOMMU_IOAS_COPY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)

/**
 * struct iommu_ioas_unmap - for IOMMU_IOAS_UNMAP: take mappings away
 * @size: bytes passed
 * @ioas_id: the IOAS
 * @iova: first byte
 * @length: in bytes. Out: bytes that were mapped in it
 *
 * Removes all mappings in the range; there may be gaps. A mapping goes as a
 * whole or not at all. IOVA 0 with length 2^64-1 means everything, and is fine
 * on an empty IOAS. On return no device reaches the memory any more. A caller
 * who is killed among very many mappings may have removed some of them; no
 * device reaches the memory of those.
 *
 * EINVAL: length 0.
 * EOVERFLOW: the range goes past the end of 64 bits.
 * ENOENT: nothing is mapped in the range, or a mapping sticks out of it at
 * either end; nothing has been removed.
 * EBUSY: another thread is still filling a mapping in the range.
 */
struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};
#define IOMMU_IOAS_UNMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)

/**
 * enum iommufd_option - what IOMMU_OPTION can set
 * @IOMMU_OPTION_RLIMIT_MODE: of the context, object 0: 0 charges pinned pages
 *	to the user, 1 to the process. Setting it takes privilege
 * @IOMMU_OPTION_HUGE_PAGES: of an IOAS: 1 lets page tables use large entries
 *	and mappings share a CPU page, 0 does not
 */
enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0,
	IOMMU_OPTION_HUGE_PAGES = 1,
};

/**
 * enum iommufd_option_ops - what IOMMU_OPTION does
 * @IOMMU_OPTION_OP_SET: take over the value
 * @IOMMU_OPTION_OP_GET: report it
 */
enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

/**
 * struct iommu_option - for IOMMU_OPTION: read or change a setting
 * @size: bytes passed
 * @option_id: of &enum iommufd_option
 * @op: of &enum iommufd_option_ops
 * @__reserved: 0
 * @object_id: whose setting, 0 for the context's own
 * @val64: the value; out for OP_GET
 *
 * EINVAL: no value for this option, or a device is attached to the IOAS.
 * EPERM: OPTION_RLIMIT_MODE is set without CAP_SYS_RESOURCE.
 * EBUSY: it is set while the context has objects.
 * EADDRINUSE: HUGE_PAGES is cleared while mappings share CPU pages.
 */
struct iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};
#define IOMMU_OPTION _IO(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)

/**
 * enum iommufd_vfio_ioas_op - what IOMMU_VFIO_IOAS does
 * @IOMMU_VFIO_IOAS_GET: report the IOAS
 * @IOMMU_VFIO_IOAS_SET: choose it
 * @IOMMU_VFIO_IOAS_CLEAR: have none
 */
enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

/**
 * struct iommu_vfio_ioas - for IOMMU_VFIO_IOAS: where type1 ioctls go
 * @size: bytes passed
 * @ioas_id: the IOAS, for OP_SET. Out for OP_GET
 * @op: of &enum iommufd_vfio_ioas_op
 * @__reserved: 0
 *
 * The ioctls of the old VFIO container, sent to this file, act on this IOAS.
 *
 * ENODEV: asked for while there is none.
 */
struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 __reserved;
};
#define IOMMU_VFIO_IOAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)

/**
 * enum iommufd_hwpt_alloc_flags - @flags of IOMMU_HWPT_ALLOC
 * @IOMMU_HWPT_ALLOC_NEST_PARENT: fit to lie under a guest's own tables
 * @IOMMU_HWPT_ALLOC_DIRTY_TRACKING: refuse devices without dirty tracking
 * @IOMMU_HWPT_FAULT_ID_VALID: page faults are to be reported
 * @IOMMU_HWPT_ALLOC_PASID: fit for use with a PASID
 */
enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

/**
 * enum iommu_hwpt_data_type - kinds of table described by userspace
 * @IOMMU_HWPT_DATA_NONE: none, a plain table
 */
enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
};

/**
 * struct iommu_hwpt_alloc - for IOMMU_HWPT_ALLOC: make a page table
 * @size: bytes passed
 * @flags: of &enum iommufd_hwpt_alloc_flags
 * @dev_id: bound device whose IOMMU the table is for
 * @pt_id: the IOAS it shows
 * @out_hwpt_id: out: the new HWPT
 * @__reserved: 0
 *
 * A HWPT (hardware page table) is what a device is attached to in the end. One
 * made here stays until IOMMU_DESTROY; one made by an attach to an IOAS goes
 * with its last device.
 *
 * Later kernels have more behind @__reserved: data_type, data_len, data_uptr,
 * fault_id and another reserved word, 48 bytes in all. No flag is known to the
 * hardware, nor any data_type but IOMMU_HWPT_DATA_NONE: EOPNOTSUPP. With that
 * one, data_len has to be 0 (EINVAL), and data_uptr and fault_id mean nothing.
 *
 * EINVAL: @pt_id is no IOAS; data of no type.
 */
struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
};
#define IOMMU_HWPT_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)

/**
 * enum iommu_hw_info_type - whose registers IOMMU_GET_HW_INFO gives
 * @IOMMU_HW_INFO_TYPE_NONE: nobody's, there is no data
 * @IOMMU_HW_INFO_TYPE_DEFAULT: in a request: whatever there is
 * @IOMMU_HW_INFO_TYPE_INTEL_VTD: &struct iommu_hw_info_vtd
 */
enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
};

/**
 * enum iommufd_hw_capabilities - what an IOMMU can do, whatever its kind
 * @IOMMU_HW_CAP_DIRTY_TRACKING: note which pages a device writes
 * @IOMMU_HW_CAP_PCI_PASID_EXEC: the device may execute with a PASID
 * @IOMMU_HW_CAP_PCI_PASID_PRIV: the device may be privileged with a PASID
 * @IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED: the device cannot keep translations
 */
enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

/**
 * enum iommufd_hw_info_flags - @flags of IOMMU_GET_HW_INFO
 * @IOMMU_HW_INFO_FLAG_INPUT_TYPE: a kind of data is asked for
 */
enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0,
};

/**
 * struct iommu_hw_info_vtd - registers of an Intel unit
 * @flags: 0
 * @__reserved: 0
 * @cap_reg: the capability register
 * @ecap_reg: the extended capability register
 */
struct iommu_hw_info_vtd {
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/**
 * struct iommu_hw_info - for IOMMU_GET_HW_INFO: which IOMMU a device has
 * @size: bytes passed
 * @flags: 0, or of &enum iommufd_hw_info_flags
 * @dev_id: bound device
 * @data_len: room at @data_uptr in bytes. Out: bytes that there are
 * @data_uptr: address of a buffer, to be filled as far as it reaches; what is
 *	left over becomes zero
 * @out_data_type: out: of &enum iommu_hw_info_type
 * @__reserved: 0
 */
struct iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 out_data_type;
	__u32 __reserved;
};
#define IOMMU_GET_HW_INFO _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)

/**
 * enum iommufd_hwpt_set_dirty_tracking_flags - @flags of the ioctl
 * @IOMMU_HWPT_DIRTY_TRACKING_ENABLE: on when set, off when not
 */
enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1 << 0,
};

/**
 * struct iommu_hwpt_set_dirty_tracking - for IOMMU_HWPT_SET_DIRTY_TRACKING
 * @size: bytes passed
 * @flags: of &enum iommufd_hwpt_set_dirty_tracking_flags
 * @hwpt_id: the table
 * @__reserved: 0
 *
 * Switches the noting of pages that devices write. Not on 6.1: EOPNOTSUPP.
 */
struct iommu_hwpt_set_dirty_tracking {
	__u32 size;
	__u32 flags;
	__u32 hwpt_id;
	__u32 __reserved;
};
#define IOMMU_HWPT_SET_DIRTY_TRACKING \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)

/**
 * enum iommufd_hwpt_get_dirty_bitmap_flags - @flags of the ioctl
 * @IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR: report, and do not forget
 */
enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1 << 0,
};

/**
 * struct iommu_hwpt_get_dirty_bitmap - for IOMMU_HWPT_GET_DIRTY_BITMAP
 * @size: bytes passed
 * @hwpt_id: the table
 * @flags: of &enum iommufd_hwpt_get_dirty_bitmap_flags
 * @__reserved: 0
 * @iova: first byte of the range to report on
 * @length: of the range, in bytes
 * @page_size: what one bit stands for, in bytes
 * @data: address of the bitmap, 64 bit words; bits of pages written are set,
 *	others are left alone
 *
 * Reports the pages written since the last time, and forgets them. Not on 6.1:
 * EOPNOTSUPP.
 *
 * EINVAL: @length is 0, or @page_size no power of two.
 * EOVERFLOW: the range goes past the end of 64 bits.
 */
struct iommu_hwpt_get_dirty_bitmap {
	__u32 size;
	__u32 hwpt_id;
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 data;
};
#define IOMMU_HWPT_GET_DIRTY_BITMAP \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)

/**
 * struct iommu_hwpt_invalidate - for IOMMU_HWPT_INVALIDATE: flush caches
 * @size: bytes passed
 * @hwpt_id: a table made by a guest
 * @data_uptr: address of an array of requests
 * @data_type: their kind
 * @entry_len: bytes from one to the next
 * @entry_num: how many. Out: how many were carried out, on failure too
 * @__reserved: 0
 *
 * Not on 6.1, where guests make no tables: EOPNOTSUPP for any other table.
 *
 * EINVAL: requests without an address or of length 0.
 */
struct iommu_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 data_uptr;
	__u32 data_type;
	__u32 entry_len;
	__u32 entry_num;
	__u32 __reserved;
};
#define IOMMU_HWPT_INVALIDATE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_INVALIDATE)

/**
 * enum iommu_hwpt_pgfault_flags - @flags of a page fault
 * @IOMMU_PGFAULT_FLAGS_PASID_VALID: @pasid means something
 * @IOMMU_PGFAULT_FLAGS_LAST_PAGE: the device waits for the answer to this one
 */
enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = 1 << 0,
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = 1 << 1,
};

/**
 * enum iommu_hwpt_pgfault_perm - what a faulting device wanted
 * @IOMMU_PGFAULT_PERM_READ: to read
 * @IOMMU_PGFAULT_PERM_WRITE: to write
 * @IOMMU_PGFAULT_PERM_EXEC: to execute (PASID only)
 * @IOMMU_PGFAULT_PERM_PRIV: in privileged mode (PASID only)
 */
enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = 1 << 0,
	IOMMU_PGFAULT_PERM_WRITE = 1 << 1,
	IOMMU_PGFAULT_PERM_EXEC = 1 << 2,
	IOMMU_PGFAULT_PERM_PRIV = 1 << 3,
};

/**
 * struct iommu_hwpt_pgfault - a page fault, as read() from a fault queue
 * @flags: of &enum iommu_hwpt_pgfault_flags
 * @dev_id: the device
 * @pasid: its PASID
 * @grpid: number shared by faults to be answered together
 * @perm: of &enum iommu_hwpt_pgfault_perm
 * @__reserved: 0
 * @addr: the address it wanted
 * @length: how far it wants to go from there, in bytes; a hint
 * @cookie: to be repeated in the answer
 */
struct iommu_hwpt_pgfault {
	__u32 flags;
	__u32 dev_id;
	__u32 pasid;
	__u32 grpid;
	__u32 perm;
	__u32 __reserved;
	__aligned_u64 addr;
	__u32 length;
	__u32 cookie;
};

/**
 * enum iommufd_page_response_code - how a page fault ended
 * @IOMMUFD_PAGE_RESP_SUCCESS: try again, the page is there
 * @IOMMUFD_PAGE_RESP_INVALID: give up
 */
enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/**
 * struct iommu_hwpt_page_response - an answer, as write() to a fault queue
 * @cookie: from the fault
 * @code: of &enum iommufd_page_response_code
 */
struct iommu_hwpt_page_response {
	__u32 cookie;
	__u32 code;
};

/**
 * struct iommu_fault_alloc - for IOMMU_FAULT_QUEUE_ALLOC: hear of page faults
 * @size: bytes passed
 * @flags: 0
 * @out_fault_id: out: the new object
 * @out_fault_fd: out: a descriptor to read faults from and write answers to
 *
 * Not on 6.1: EOPNOTSUPP.
 */
struct iommu_fault_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_fault_id;
	__u32 out_fault_fd;
};
#define IOMMU_FAULT_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_FAULT_QUEUE_ALLOC)

/**
 * enum iommu_viommu_type - kinds of virtual IOMMU
 * @IOMMU_VIOMMU_TYPE_DEFAULT: of no kind in particular
 */
enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
};

/**
 * struct iommu_viommu_alloc - for IOMMU_VIOMMU_ALLOC: a guest's share of an IOMMU
 * @size: bytes passed
 * @flags: 0
 * @type: of &enum iommu_viommu_type
 * @dev_id: bound device behind the IOMMU
 * @hwpt_id: table under which the guest's own will lie
 * @out_viommu_id: out: the new object
 * @data_len: length of what is at @data_uptr
 * @__reserved: 0
 * @data_uptr: address of data that the type defines
 *
 * The default type is for kernels to use, not for programs: EOPNOTSUPP, before
 * the IDs are looked at. On 6.1 every other one is EOPNOTSUPP as well.
 */
struct iommu_viommu_alloc {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 dev_id;
	__u32 hwpt_id;
	__u32 out_viommu_id;
	__u32 data_len;
	__u32 __reserved;
	__aligned_u64 data_uptr;
};
#define IOMMU_VIOMMU_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VIOMMU_ALLOC)

/**
 * struct iommu_vdevice_alloc - for IOMMU_VDEVICE_ALLOC: a device as guests see it
 * @size: bytes passed
 * @viommu_id: the virtual IOMMU it is behind
 * @dev_id: bound device
 * @out_vdevice_id: out: the new object
 * @virt_id: its number on that IOMMU, of 32 bits
 *
 * Not on 6.1, where there are no virtual IOMMUs: with the IDs of any object and
 * of a device EOPNOTSUPP.
 *
 * EINVAL: @virt_id is too large.
 */
struct iommu_vdevice_alloc {
	__u32 size;
	__u32 viommu_id;
	__u32 dev_id;
	__u32 out_vdevice_id;
	__aligned_u64 virt_id;
};
#define IOMMU_VDEVICE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VDEVICE_ALLOC)

/**
 * struct iommu_ioas_change_process - for IOMMU_IOAS_CHANGE_PROCESS: move charges
 * @size: bytes passed
 * @__reserved: 0
 *
 * The calling process takes over what this context has mapped from files: what
 * is pinned of them, and what will be, counts as its own locked memory and, with
 * OPTION_RLIMIT_MODE 0, as its user's. Devices notice nothing. Called by a
 * process that has it all already, this does nothing.
 *
 * EINVAL: memory of a process is mapped, in whatever IOAS of the context, or
 * about to be.
 * ENOMEM: the RLIMIT_MEMLOCK of a caller without CAP_IPC_LOCK does not allow it.
 *
 * What is charged to a memory cgroup stays there.
 */
struct iommu_ioas_change_process {
	__u32 size;
	__u32 __reserved;
};
#define IOMMU_IOAS_CHANGE_PROCESS \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_CHANGE_PROCESS)

/**
 * enum iommu_veventq_flag - @flags of &struct iommufd_vevent_header
 * @IOMMU_VEVENTQ_FLAG_LOST_EVENTS: events have been dropped, no data follows
 */
enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1U << 0,
};

/**
 * struct iommufd_vevent_header - what precedes each event in a queue
 * @flags: of &enum iommu_veventq_flag
 * @sequence: running number; a step above 1 tells of lost events
 */
struct iommufd_vevent_header {
	__u32 flags;
	__u32 sequence;
};

/**
 * enum iommu_veventq_type - kinds of event queue
 * @IOMMU_VEVENTQ_TYPE_DEFAULT: of no kind in particular
 */
enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
};

/**
 * struct iommu_veventq_alloc - for IOMMU_VEVENTQ_ALLOC: hear of a guest's events
 * @size: bytes passed
 * @flags: 0
 * @viommu_id: virtual IOMMU that they come from
 * @type: of &enum iommu_veventq_type
 * @veventq_depth: how many may wait
 * @out_veventq_id: out: the new object
 * @out_veventq_fd: out: a descriptor to read them from
 * @__reserved: 0
 *
 * Not on 6.1: EOPNOTSUPP, for the default type at once, for others with the ID
 * of any object.
 *
 * EINVAL: @veventq_depth is 0.
 */
struct iommu_veventq_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 veventq_depth;
	__u32 out_veventq_id;
	__u32 out_veventq_fd;
	__u32 __reserved;
};
#define IOMMU_VEVENTQ_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VEVENTQ_ALLOC)

/**
 * enum iommu_hw_queue_type - kinds of queue that a guest drives itself
 * @IOMMU_HW_QUEUE_TYPE_DEFAULT: of no kind in particular
 */
enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
};

/**
 * struct iommu_hw_queue_alloc - for IOMMU_HW_QUEUE_ALLOC: give a guest a queue
 * @size: bytes passed
 * @flags: 0
 * @viommu_id: virtual IOMMU that it belongs to
 * @type: of &enum iommu_hw_queue_type
 * @index: which one, as the guest counts them
 * @out_hw_queue_id: out: the new object
 * @nesting_parent_iova: where its memory is, in guest physical terms
 * @length: of its memory, in bytes
 *
 * Not on 6.1: EOPNOTSUPP, for the default type at once, for others with the ID
 * of any object.
 *
 * EINVAL: @length is 0.
 * EOVERFLOW: the memory goes past the end of 64 bits.
 */
struct iommu_hw_queue_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 index;
	__u32 out_hw_queue_id;
	__aligned_u64 nesting_parent_iova;
	__aligned_u64 length;
};
#define IOMMU_HW_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HW_QUEUE_ALLOC)

#endif /* _UAPI_IOMMUFD_H */
