/* SPDX-License-Identifier: GPL-2.0 */
/*
 * In-kernel API of iommufd: how a driver that owns a device gives userspace
 * I/O page tables for it.
 *
 * The life of a device here is a ladder, and each step has its way back:
 *
 *	iommufd_ctx_from_fd()			iommufd_ctx_put()
 *	iommufd_device_bind()			iommufd_device_unbind()
 *	iommufd_device_attach()			iommufd_device_detach()
 *	  iommufd_device_replace()		  (stays attached)
 *
 * The caller serialises the calls on one &struct iommufd_device, and lets no
 * DMA run before attach has returned or after detach was called.
 *
 * All functions sleep. "Returns 0 or a negative errno" is not repeated below.
 */
#ifndef __LINUX_IOMMUFD_H
#define __LINUX_IOMMUFD_H

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/types.h>

struct device;
struct iommu_group;
struct iommufd_ctx;
struct iommufd_device;

/**
 * iommufd_ctx_from_file - the context behind an open /dev/iommu
 * @file: any file
 *
 * Return: the context with a reference taken, to be given back by
 * iommufd_ctx_put(), or ERR_PTR(-EBADFD) when @file is no iommufd.
 */
struct iommufd_ctx *iommufd_ctx_from_file(struct file *file);

/**
 * iommufd_ctx_from_fd - the context behind a file descriptor of the caller
 * @fd: descriptor in the current process
 *
 * Return: as iommufd_ctx_from_file(), and ERR_PTR(-EBADF) when @fd is not
 * open.
 */
struct iommufd_ctx *iommufd_ctx_from_fd(int fd);

/**
 * iommufd_ctx_get - take one more reference
 * @ictx: context to which the caller has a reference already
 */
void iommufd_ctx_get(struct iommufd_ctx *ictx);

/**
 * iommufd_ctx_put - give a reference back
 * @ictx: context
 *
 * A context lives as long as its file, and each reference keeps that file:
 * userspace may close the descriptor first.
 */
void iommufd_ctx_put(struct iommufd_ctx *ictx);

/**
 * iommufd_ctx_device_id - what does this context call a device?
 * @ictx: context
 * @dev: device, bound or not, by whomever
 *
 * For who does not have the device bound. Without a lock around it the answer can
 * be out of date.
 *
 * Return: its object ID; 0 when it is not bound, but the context owns its group, so
 * that nobody else can have it bound; -ENOENT when the context does not.
 */
int iommufd_ctx_device_id(struct iommufd_ctx *ictx, struct device *dev);

/**
 * iommufd_device_bind - hand a device over to a context
 * @ictx: context
 * @dev: physical device whose driver calls; it must be in an IOMMU group
 * @id: set to the object ID that userspace uses for the device
 *
 * The first device of an IOMMU group claims the group's DMA for the context:
 * from then on none of its devices reaches memory until it is attached. The
 * context is kept alive until iommufd_device_unbind().
 *
 * Return: the device, or ERR_PTR() of
 * -ENODEV when @dev has no IOMMU;
 * -EPERM when the group belongs to another context or to another user of the
 *  IOMMU layer, or when its interrupts are not isolated and the module
 *  parameter allow_unsafe_interrupts is off, or the device may not be given
 *  to userspace (firmware does DMA with it);
 * -EBUSY when a device of the group is run by a kernel driver;
 * -EEXIST when this device is bound already;
 * -ENOMEM.
 */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx,
					   struct device *dev, u32 *id);

/**
 * iommufd_device_unbind - take a device back
 * @idev: bound device that is not attached; gone on return
 *
 * The last device of a group gives the group's DMA back to the kernel. Never
 * fails and waits for nothing that userspace controls.
 */
void iommufd_device_unbind(struct iommufd_device *idev);

/**
 * iommufd_enforces_coherency - will DMA of a device be coherent, whatever it asks?
 * @dev: physical device, bound or not
 *
 * Tells, before an attach, whether all page tables for @dev make its IOMMU snoop
 * the CPU's caches even for DMA that says it need not. Who has relied on a yes
 * calls iommufd_device_require_coherency() after bind.
 *
 * Return: true, or false: no promise. 6.1 has no capability for it: false for
 * IOMMUs that do not show their registers.
 */
bool iommufd_enforces_coherency(struct device *dev);

/**
 * iommufd_device_require_coherency - have no attach that is not enforced
 * @idev: bound device
 *
 * Until unbind, an attach or replace of any device of the IOMMU group gives
 * -EINVAL when the page table cannot enforce coherency.
 *
 * Return: 0, or -EINVAL when the group is attached to such a table now, -EINTR.
 */
int iommufd_device_require_coherency(struct iommufd_device *idev);

/**
 * iommufd_device_attach - let a device translate through a page table
 * @idev: bound device, not attached
 * @pt_id: in: ID of an IOAS or of a HWPT. Out: ID of the HWPT in use
 *
 * For an IOAS a compatible HWPT that it has already is shared, or else one is
 * made for it and goes away with its last device. When another device of the
 * IOMMU group is attached, @pt_id must lead to the same table.
 *
 * Return: 0, or
 * -EBUSY when the device is attached already;
 * -ENOENT when @pt_id names nothing;
 * -EINVAL when it names an object that is neither IOAS nor HWPT, a HWPT of
 *  another kind of IOMMU, or not the table the group is on; or when the table
 *  does not enforce coherency and that is required;
 * -EADDRINUSE when a mapping or an allowed range of the IOAS lies where the
 *  device cannot translate, or is not aligned to its page size;
 * -EFAULT, -EPERM, -ENOMEM when the memory mapped in the IOAS cannot be
 *  pinned: not there, not to be written, over the limit;
 * -EINTR when the caller was killed meanwhile.
 * The device is as before then, and nothing was made.
 */
int iommufd_device_attach(struct iommufd_device *idev, u32 *pt_id);

/**
 * iommufd_device_replace - move an attached device to another page table
 * @idev: attached device
 * @pt_id: as for iommufd_device_attach()
 *
 * All devices of the IOMMU group move, or none. The new table is complete
 * before the first device sees it. 6.1's IOMMU drivers drop the old table
 * before they set the new one: DMA meanwhile is aborted, never misdirected.
 *
 * Return: as iommufd_device_attach(), but -EINVAL when the device is not
 * attached. On error the group is on its old table, or, when the IOMMU driver
 * could not even go back, blocked.
 */
int iommufd_device_replace(struct iommufd_device *idev, u32 *pt_id);

/**
 * iommufd_device_detach - end translation for a device
 * @idev: attached device
 *
 * When the last device of an IOMMU group is detached the group's DMA is
 * blocked. Never fails.
 */
void iommufd_device_detach(struct iommufd_device *idev);

/**
 * iommufd_device_to_ictx - the context that a device is bound to
 * @idev: bound device
 *
 * Return: the context, without a reference of its own.
 */
struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev);

/**
 * iommufd_device_to_id - the object ID that bind gave out
 * @idev: bound device
 */
u32 iommufd_device_to_id(struct iommufd_device *idev);

/**
 * struct iommufd_place - where a device is, for people to read
 * @context: number of its context, as in the context's fdinfo
 * @hwpt_id: the page table it is attached to, or 0
 * @ioas_id: the address space it is attached to, or 0
 */
struct iommufd_place {
	u64 context;
	u32 hwpt_id;
	u32 ioas_id;
};

/**
 * iommufd_device_place - where is a device now?
 * @idev: bound device
 * @place: filled
 *
 * Takes no lock: it may be somewhere else on return.
 */
void iommufd_device_place(struct iommufd_device *idev,
			  struct iommufd_place *place);

/*
 * Access: a driver that does no DMA of its own reaches, by IOVA, the memory that
 * userspace has mapped in an IOAS.
 */

struct iommufd_access;
struct page;

/**
 * struct iommufd_access_ops - what iommufd asks of the user of an access
 * @needs_pin_pages: the user pins pages; the IOAS is then aligned to PAGE_SIZE
 * @unpins_parts: pins are counted by page: any part of what one call has pinned
 *	can be unpinned by another, and pages that are not pinned are passed over.
 *	Costs a record for each page
 * @unmap: the IOVA range goes away, and something is or may be pinned there: a
 *	mapping that is being removed, or what is pinned when the access leaves
 *	its IOAS. Whatever was pinned there must have been unpinned when this
 *	returns. Called without locks that iommufd_access_pin_pages(),
 *	iommufd_access_unpin_pages() or iommufd_access_rw() take, so the user may
 *	hold a lock of its own around those and take it in here. Must not attach,
 *	replace, detach or destroy. Needed with @needs_pin_pages
 */
struct iommufd_access_ops {
	bool needs_pin_pages;
	bool unpins_parts;
	void (*unmap)(void *data, unsigned long iova, unsigned long length);
};

/**
 * iommufd_access_create - become a user of a context's address spaces
 * @ictx: context; kept alive until iommufd_access_destroy()
 * @ops: see there
 * @data: passed to @ops
 * @id: set to the object ID
 *
 * Return: the access, attached to nothing, or ERR_PTR(-ENOMEM).
 */
struct iommufd_access *
iommufd_access_create(struct iommufd_ctx *ictx,
		      const struct iommufd_access_ops *ops, void *data,
		      u32 *id);

/* Detaches, if need be, and frees. Never fails. */
void iommufd_access_destroy(struct iommufd_access *access);

/**
 * iommufd_access_attach - choose the address space
 * @access: attached to nothing
 * @ioas_id: ID of an IOAS
 *
 * Return: 0, or -EBUSY when it is attached, -ENOENT for an unknown ID, -EINVAL
 * for that of something else, -EADDRINUSE when a mapping there is not page aligned and pages are to be
 * pinned, -EINTR.
 */
int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id);

/*
 * Move to another IOAS: as attach, but -ENOENT when it is not attached. Pinning,
 * reading and writing give -ENOENT until the move is over.
 */
int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id);

/* Let go of the IOAS, and by @unmap of all that is pinned. Never fails. */
void iommufd_access_detach(struct iommufd_access *access);

/* As iommufd_device_place(), with a short lock. */
void iommufd_access_place(struct iommufd_access *access,
			  struct iommufd_place *place);

/* For iommufd_access_pin_pages() and iommufd_access_rw(). */
#define IOMMUFD_ACCESS_WRITE	(1U << 0)

/**
 * iommufd_access_pin_pages - pin what is mapped at an IOVA
 * @access: attached, with needs_pin_pages
 * @iova: of the first byte, page aligned
 * @length: in bytes, a multiple of PAGE_SIZE, not 0
 * @out_pages: room for @length / PAGE_SIZE pages, or NULL
 * @flags: IOMMUFD_ACCESS_WRITE when they will be written
 *
 * The same range can be pinned repeatedly.
 *
 * Return: 0, or -EINVAL when a mapping's memory is not page aligned here,
 * -ENOENT when not all of the range is mapped or nothing is attached, -EPERM
 * when it may not be written, -EOVERFLOW, or why the memory could not be
 * pinned. Nothing is pinned then.
 */
int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **out_pages,
			     unsigned int flags);

/*
 * The opposite, for a range that was pinned as it is given here; with unpins_parts
 * for any pages.
 */
void iommufd_access_unpin_pages(struct iommufd_access *access,
				unsigned long iova, unsigned long length);

/**
 * iommufd_access_rw - read or write the memory mapped at an IOVA
 * @access: attached
 * @iova: of the first byte
 * @data: kernel memory
 * @length: in bytes
 * @flags: IOMMUFD_ACCESS_WRITE to copy from @data to the IOVA, else to @data
 *
 * Return: 0, or as iommufd_access_pin_pages(), or -EFAULT when the memory is not
 * there. Part of the copy may have been done then. Nothing is copied any more
 * once iommufd_access_detach() has returned.
 */
int iommufd_access_rw(struct iommufd_access *access, unsigned long iova,
		      void *data, size_t length, unsigned int flags);

/*
 * Container: a context whose device files come through groups, and which answers
 * the ioctls of the type1 container.
 */

/* For /dev/vfio/vfio: each file that is opened is a container. */
extern const struct file_operations iommufd_container_fops;

/* May containers be without an IOMMU? */
void iommufd_container_allow_noiommu(bool allow);

/**
 * iommufd_container_join - a group comes into a container
 * @ictx: context, of /dev/vfio/vfio or of /dev/iommu
 * @noiommu: the group has no IOMMU
 * @ioas_id: set to the address space that its devices are to be attached to, which
 *	is made if there is none; 0 with @noiommu
 *
 * Return: 0; -EPERM when groups with and without an IOMMU would be mixed; -EINVAL
 * for a group without one and a context of /dev/iommu; -ENOMEM.
 */
int iommufd_container_join(struct iommufd_ctx *ictx, bool noiommu,
			   u32 *ioas_id);

/* The opposite. The group's devices are detached. */
void iommufd_container_leave(struct iommufd_ctx *ictx);

/* Has userspace chosen a kind of IOMMU, as far as it needs to? */
bool iommufd_container_is_set_up(struct iommufd_ctx *ictx);

#endif /* __LINUX_IOMMUFD_H */
