/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: events/iommufd in tracefs. docs/fdinfo.md tells what they show.
 * ctx is the context's number, also in fdinfo; IDs are those of its objects.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iommufd

#if !defined(IOMMUFD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define IOMMUFD_TRACE_H

#include <linux/iommu.h>
#include <linux/tracepoint.h>

#include "access.h"
#include "device.h"
#include "hwpt.h"
#include "ioas.h"
#include "object.h"

TRACE_EVENT(iommufd_map,
	TP_PROTO(const struct ioas *ioas, const char *what, u64 source,
		 u64 length, u32 flags, u64 iova, int rc),
	TP_ARGS(ioas, what, source, length, flags, iova, rc),
	TP_STRUCT__entry(
		__field(u64, ctx)
		__field(u32, ioas)
		__field(u32, flags)
		__string(what, what)
		__field(u64, source)
		__field(u64, length)
		__field(u64, iova)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->ctx = ioas->ictx->number;
		__entry->ioas = ioas->obj.id;
		__entry->flags = flags;
		__assign_str(what, what);
		__entry->source = source;
		__entry->length = length;
		__entry->iova = iova;
		__entry->rc = rc;
	),
	TP_printk("ctx=%llu ioas=%u iova=0x%llx length=%llu flags=0x%x %s=0x%llx rc=%d",
		  __entry->ctx, __entry->ioas, __entry->iova, __entry->length,
		  __entry->flags, __get_str(what), __entry->source, __entry->rc)
);

TRACE_EVENT(iommufd_unmap,
	TP_PROTO(const struct ioas *ioas, u64 start, u64 last, u64 unmapped,
		 int rc),
	TP_ARGS(ioas, start, last, unmapped, rc),
	TP_STRUCT__entry(
		__field(u64, ctx)
		__field(u32, ioas)
		__field(u64, start)
		__field(u64, last)
		__field(u64, unmapped)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->ctx = ioas->ictx->number;
		__entry->ioas = ioas->obj.id;
		__entry->start = start;
		__entry->last = last;
		__entry->unmapped = unmapped;
		__entry->rc = rc;
	),
	TP_printk("ctx=%llu ioas=%u start=0x%llx last=0x%llx unmapped=%llu rc=%d",
		  __entry->ctx, __entry->ioas, __entry->start, __entry->last,
		  __entry->unmapped, __entry->rc)
);

DECLARE_EVENT_CLASS(iommufd_device,
	TP_PROTO(const struct iommufd_device *idev, u32 pt, int rc),
	TP_ARGS(idev, pt, rc),
	TP_STRUCT__entry(
		__field(u64, ctx)
		__field(u32, device)
		__string(name, dev_name(idev->dev))
		__field(int, group)
		__field(u32, pt)
		__field(u32, hwpt)
		__field(u32, ioas)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->ctx = idev->ictx->number;
		__entry->device = idev->obj.id;
		__assign_str(name, dev_name(idev->dev));
		__entry->group = iommu_group_id(idev->dgroup->group);
		__entry->pt = pt;
		__entry->hwpt = READ_ONCE(idev->dgroup->hwpt_id);
		__entry->ioas = READ_ONCE(idev->dgroup->ioas_id);
		__entry->rc = rc;
	),
	/* hwpt, ioas: where the group is afterwards */
	TP_printk("ctx=%llu device=%u name=%s group=%d pt=%u hwpt=%u ioas=%u rc=%d",
		  __entry->ctx, __entry->device, __get_str(name),
		  __entry->group, __entry->pt, __entry->hwpt, __entry->ioas,
		  __entry->rc)
);

DEFINE_EVENT(iommufd_device, iommufd_attach,
	TP_PROTO(const struct iommufd_device *idev, u32 pt, int rc),
	TP_ARGS(idev, pt, rc)
);

DEFINE_EVENT(iommufd_device, iommufd_replace,
	TP_PROTO(const struct iommufd_device *idev, u32 pt, int rc),
	TP_ARGS(idev, pt, rc)
);

DEFINE_EVENT(iommufd_device, iommufd_detach,
	TP_PROTO(const struct iommufd_device *idev, u32 pt, int rc),
	TP_ARGS(idev, pt, rc)
);

TRACE_EVENT(iommufd_pin,
	TP_PROTO(const struct iommufd_ctx *ictx, const char *what, u64 address,
		 u64 wanted, u64 pinned, int rc),
	TP_ARGS(ictx, what, address, wanted, pinned, rc),
	TP_STRUCT__entry(
		__field(u64, ctx)
		__string(what, what)
		__field(u64, address)
		__field(u64, wanted)
		__field(u64, pinned)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->ctx = ictx->number;
		__assign_str(what, what);
		__entry->address = address;
		__entry->wanted = wanted;
		__entry->pinned = pinned;
		__entry->rc = rc;
	),
	TP_printk("ctx=%llu %s=0x%llx wanted=%llu pinned=%llu rc=%d",
		  __entry->ctx, __get_str(what), __entry->address,
		  __entry->wanted, __entry->pinned, __entry->rc)
);

TRACE_EVENT(iommufd_unpin,
	TP_PROTO(const struct iommufd_ctx *ictx, const char *what, u64 address,
		 u64 left, u64 unpinned),
	TP_ARGS(ictx, what, address, left, unpinned),
	TP_STRUCT__entry(
		__field(u64, ctx)
		__string(what, what)
		__field(u64, address)
		__field(u64, left)
		__field(u64, unpinned)
	),
	TP_fast_assign(
		__entry->ctx = ictx->number;
		__assign_str(what, what);
		__entry->address = address;
		__entry->left = left;
		__entry->unpinned = unpinned;
	),
	/* left: by this consumer; unpinned: what nobody else needs */
	TP_printk("ctx=%llu %s=0x%llx left=%llu unpinned=%llu",
		  __entry->ctx, __get_str(what), __entry->address,
		  __entry->left, __entry->unpinned)
);

TRACE_EVENT(iommufd_access_pin,
	TP_PROTO(const struct iommufd_access *access, u64 iova, u64 length,
		 u32 flags, int rc),
	TP_ARGS(access, iova, length, flags, rc),
	TP_STRUCT__entry(
		__field(u64, ctx)
		__field(u32, access)
		__field(u64, iova)
		__field(u64, length)
		__field(u32, flags)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->ctx = access->ictx->number;
		__entry->access = access->obj.id;
		__entry->iova = iova;
		__entry->length = length;
		__entry->flags = flags;
		__entry->rc = rc;
	),
	TP_printk("ctx=%llu access=%u iova=0x%llx length=%llu flags=0x%x rc=%d",
		  __entry->ctx, __entry->access, __entry->iova,
		  __entry->length, __entry->flags, __entry->rc)
);

TRACE_EVENT(iommufd_failure,
	TP_PROTO(const struct iommufd_ctx *ictx, const struct reason *reason),
	TP_ARGS(ictx, reason),
	TP_STRUCT__entry(
		__field(u64, ctx)
		__string(op, reason->op)
		__field(int, rc)
		__string(text, reason->text)
	),
	TP_fast_assign(
		__entry->ctx = ictx->number;
		__assign_str(op, reason->op);
		__entry->rc = reason->rc;
		__assign_str(text, reason->text);
	),
	TP_printk("ctx=%llu op=%s rc=%d reason=%s", __entry->ctx,
		  __get_str(op), __entry->rc, __get_str(text))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
