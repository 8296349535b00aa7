/* SPDX-License-Identifier: GPL-2.0 */
/* What /proc/PID/fdinfo/FD tells about a context; docs/fdinfo.md. */
#ifndef IOMMUFD_FDINFO_H
#define IOMMUFD_FDINFO_H

struct iommufd_ctx;
struct seq_file;

void fdinfo_show(struct iommufd_ctx *ictx, struct seq_file *m);

#endif
