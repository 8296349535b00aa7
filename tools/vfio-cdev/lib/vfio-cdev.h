/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libvfio-cdev: PCI devices for userspace through /dev/vfio/devices/vfioX and
 * /dev/iommu.
 *
 * Model
 *   host     where /sys, /dev, /proc and /run are; NULL is this machine. A test
 *            points it at a directory and needs neither device nor root.
 *   pci      what sysfs says about one PCI function; a plain copy, owns nothing.
 *   ctx      one open /dev/iommu. It holds the IOASes, and these the mappings.
 *   dev      one open device. It can do nothing until it is bound to a ctx, and
 *            no DMA until it is attached to an IOAS.
 *
 *            vcdev_ctx_open -> vcdev_ioas_alloc -> vcdev_map
 *            vcdev_dev_open -> vcdev_dev_bind -> vcdev_dev_attach -> regions, irqs
 *
 *            or by group and container, the way of older programs:
 *            vcdev_ctx_open or vcdev_ctx_open_container
 *            vcdev_dev_open_group -> vcdev_map -> regions, irqs
 *
 * Files from outside
 *   A process may have been started with its context and devices open ("vfio-cdev
 *   run", systemd, a container engine). vcdev_ctx_open() and vcdev_dev_open() take
 *   these first, by LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, so that a program needs
 *   neither rights on the nodes nor other code. See vcdev_passed_devices().
 *
 * Errors
 *   Every function that can fail returns 0 (or a count) or a negative errno, and
 *   describes the failure in *err if err is not NULL: why, and what to do next.
 *   *err is written on failure only. The library never prints, never exits, and
 *   leaves no half-made object behind.
 *
 * Threads
 *   No global state but one bit for each file from outside, set when it is taken,
 *   atomically. The environment is read: do not change it at the same time.
 *   Functions on a ctx may run in parallel. Functions on a dev
 *   may run in parallel once vcdev_dev_bind() has returned; open, bind and close
 *   of one dev must not. The driver functions change state of the machine: run
 *   them under vcdev_driver_lock(), one at a time. (6.1 reads driver_override
 *   without a lock, CVE-2026-53120: two writers at once can crash the kernel.)
 *
 * Names with "last" are inclusive, lengths and IOVAs are in bytes. Constants
 * for regions, interrupts and their flags are those of <linux/vfio.h>.
 */
#ifndef VFIO_CDEV_H
#define VFIO_CDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Room for "DDDDDDDD:BB:DD.F" and the end: VMD domains have more than 4 digits. */
#define VCDEV_BDF_LEN	20
#define VCDEV_NAME_LEN	64

/**
 * struct vcdev_error - why a call failed
 * @code: negative errno, the same as was returned
 * @text: the reason, one clause without a full stop
 * @hint: what the user can do about it, or empty
 */
struct vcdev_error {
	int code;
	char text[512];
	char hint[512];
};

/**
 * struct vcdev_host - where the files of the system are
 * @root: put before /sys, /dev, /proc and /run; "" for the running system
 * @no_modprobe: do not try to load missing modules
 */
struct vcdev_host {
	const char *root;
	bool no_modprobe;
};

/* ------------------------------------------------------------------ sysfs */

/**
 * struct vcdev_pci - one PCI function, as sysfs shows it
 * @bdf: full address, "0000:01:00.0"
 * @vendor: vendor ID
 * @device: device ID
 * @subvendor: subsystem vendor ID
 * @subdevice: subsystem device ID
 * @class_code: 24 bits: class, subclass, programming interface
 * @driver: name of the bound driver, "" for none
 * @override: contents of driver_override, "" for none
 * @group: number of the IOMMU group, -1 if it has none
 * @cdev: name of the VFIO device ("vfio0"), "" if it has none
 * @pf: for a VF the BDF of its PF, else ""
 * @total_vfs: number of VFs that a PF can have, 0 if not SR-IOV capable
 * @nr_vfs: number of VFs that a PF has now
 * @numa_node: NUMA node, -1 if unknown
 * @is_bridge: is a bridge, which no VFIO driver takes
 */
struct vcdev_pci {
	char bdf[VCDEV_BDF_LEN];
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code;
	char driver[VCDEV_NAME_LEN];
	char override[VCDEV_NAME_LEN];
	int group;
	char cdev[VCDEV_NAME_LEN];
	char pf[VCDEV_BDF_LEN];
	unsigned int total_vfs, nr_vfs;
	int numa_node;
	bool is_bridge;
};

/**
 * struct vcdev_holder - a process that has a device or its group open
 * @pid: process
 * @fd: its file descriptor
 * @comm: its name
 */
struct vcdev_holder {
	pid_t pid;
	int fd;
	char comm[32];
};

/**
 * vcdev_bdf_parse() - bring a PCI address into its full form
 * @text: "0000:01:00.0" or "01:00.0", hexadecimal
 * @bdf: result, in lower case and with the domain
 *
 * Return: 0, or -EINVAL if @text is no PCI address.
 */
int vcdev_bdf_parse(const char *text, char bdf[VCDEV_BDF_LEN]);

/**
 * vcdev_pci_get() - look at one function
 * @host: system, or NULL
 * @bdf: address in either form
 * @pci: result
 * @err: reason of a failure, or NULL
 *
 * Return: 0; -EINVAL if @bdf is no PCI address; -ENODEV if there is no such
 * function; another negative errno if sysfs cannot be read.
 */
int vcdev_pci_get(const struct vcdev_host *host, const char *bdf,
		  struct vcdev_pci *pci, struct vcdev_error *err);

/**
 * vcdev_pci_find() - look at a function named by address or by cdev
 * @host: system, or NULL
 * @name: a PCI address, a path ("/dev/vfio/devices/vfio0") or its last part
 * @pci: result
 * @err: reason of a failure, or NULL
 *
 * Return: as vcdev_pci_get().
 */
int vcdev_pci_find(const struct vcdev_host *host, const char *name,
		   struct vcdev_pci *pci, struct vcdev_error *err);

/**
 * vcdev_pci_list() - look at all functions, in order of address
 * @host: system, or NULL
 * @list: result, an array that the caller gives to free()
 * @err: reason of a failure, or NULL
 *
 * Return: the number of functions, or a negative errno.
 */
ssize_t vcdev_pci_list(const struct vcdev_host *host, struct vcdev_pci **list,
		       struct vcdev_error *err);

/**
 * vcdev_pci_group() - the functions of one IOMMU group, in order of address
 * @host: system, or NULL
 * @group: number of the group
 * @list: result, an array that the caller gives to free()
 * @err: reason of a failure, or NULL
 *
 * Return: the number of functions, or a negative errno: -ENOENT if there is no
 * such group.
 */
ssize_t vcdev_pci_group(const struct vcdev_host *host, int group,
			struct vcdev_pci **list, struct vcdev_error *err);

/**
 * vcdev_pci_vfs() - the VFs of a PF, in order of address
 * @host: system, or NULL
 * @bdf: the PF
 * @list: result, an array that the caller gives to free()
 * @err: reason of a failure, or NULL
 *
 * Return: the number of VFs, or a negative errno.
 */
ssize_t vcdev_pci_vfs(const struct vcdev_host *host, const char *bdf,
		      struct vcdev_pci **list, struct vcdev_error *err);

/**
 * vcdev_pci_upstream() - the bridge that a function is behind
 * @host: system, or NULL
 * @bdf: function, full form
 * @upstream: result, the BDF of the bridge
 *
 * Return: 0, or -ENOENT for a function of a root bus.
 */
int vcdev_pci_upstream(const struct vcdev_host *host, const char *bdf,
		       char upstream[VCDEV_BDF_LEN]);

/**
 * vcdev_pci_holders() - who has the cdev or the group of a function open
 * @host: system, or NULL
 * @pci: function
 * @list: result, an array that the caller gives to free()
 * @err: reason of a failure, or NULL
 *
 * Only root sees the files of every process; others get what they may see.
 *
 * Return: the number of holders, or a negative errno.
 */
ssize_t vcdev_pci_holders(const struct vcdev_host *host,
			  const struct vcdev_pci *pci,
			  struct vcdev_holder **list, struct vcdev_error *err);

/**
 * vcdev_pci_why_no_cdev() - say why a function has no cdev
 * @host: system, or NULL
 * @pci: function with an empty @pci->cdev
 * @err: the reason: its driver, or the vfio module that is loaded; or NULL
 *
 * Return: -ENXIO.
 */
int vcdev_pci_why_no_cdev(const struct vcdev_host *host, const struct vcdev_pci *pci,
			  struct vcdev_error *err);

/**
 * vcdev_iommu_present() - is any function behind an IOMMU
 * @host: system, or NULL
 * @err: if not: the reason as far as the kernel command line tells; or NULL
 *
 * Return: 0, or -ENODEV.
 */
int vcdev_iommu_present(const struct vcdev_host *host, struct vcdev_error *err);

/* ------------------------------------------------------- mediated devices */

/* Room for a UUID and the end. */
#define VCDEV_UUID_LEN	40

/**
 * struct vcdev_mdev - one mediated device, as sysfs shows it
 * @uuid: its name
 * @parent: name of the device that it is a part of, on that one's bus
 * @type: identifier of its type
 * @type_name: name of its type for people, "" for none
 * @driver: name of the bound driver, "" for none
 * @group: number of the IOMMU group, -1 if it has none
 * @cdev: name of the VFIO device ("vfio0"), "" if it has none
 * @numa_node: NUMA node of a parent that is a PCI function, -1 if unknown
 */
struct vcdev_mdev {
	char uuid[VCDEV_UUID_LEN];
	char parent[VCDEV_NAME_LEN];
	char type[VCDEV_NAME_LEN];
	char type_name[VCDEV_NAME_LEN];
	char driver[VCDEV_NAME_LEN];
	int group;
	char cdev[VCDEV_NAME_LEN];
	int numa_node;
};

/**
 * vcdev_mdev_list() - look at all mediated devices, in order of UUID
 * @host: system, or NULL
 * @list: result, an array that the caller gives to free()
 * @err: reason of a failure, or NULL
 *
 * Return: the number of devices, or a negative errno.
 */
ssize_t vcdev_mdev_list(const struct vcdev_host *host, struct vcdev_mdev **list,
			struct vcdev_error *err);

/**
 * vcdev_mdev_find() - look at one mediated device
 * @host: system, or NULL
 * @name: its UUID, or its VFIO device ("vfio3" or a path of that node)
 * @mdev: result
 * @err: reason of a failure, or NULL
 *
 * Return: 0; -ENODEV if no mediated device has that name; another negative errno if
 * sysfs cannot be read.
 */
int vcdev_mdev_find(const struct vcdev_host *host, const char *name,
		    struct vcdev_mdev *mdev, struct vcdev_error *err);

/* ------------------------------------------------------------ open files */

/**
 * enum vcdev_file_kind - what an open file is of
 * @VCDEV_FILE_CDEV: a device, opened through /dev/vfio/devices/vfioX
 * @VCDEV_FILE_DEVICE: a device that came out of a group
 * @VCDEV_FILE_GROUP: a group, /dev/vfio/N
 * @VCDEV_FILE_CONTEXT: a context, /dev/iommu
 * @VCDEV_FILE_CONTAINER: a container, /dev/vfio/vfio, which is a context with our
 *	modules
 */
enum vcdev_file_kind {
	VCDEV_FILE_CDEV,
	VCDEV_FILE_DEVICE,
	VCDEV_FILE_GROUP,
	VCDEV_FILE_CONTEXT,
	VCDEV_FILE_CONTAINER,
};

/**
 * struct vcdev_file - a file of VFIO or iommufd that a process has open
 * @kind: what it is of
 * @pid: process
 * @fd: its file descriptor
 * @comm: its name
 * @uid: its user, (uid_t)-1 if unknown
 * @node: last part of the path: "vfio3", a group's number, "iommu"; "" for
 *	VCDEV_FILE_DEVICE
 * @device: name of the device on its bus (a BDF, a UUID), "" if it is of none or the
 *	kernel does not say
 * @group: number of the IOMMU group of a VCDEV_FILE_GROUP, else -1
 * @state: of a device: "opened", "bound" or "attached"; "" if the kernel does not say
 * @context: number of the context: of the one that this is, or of that which a device
 *	is bound to; 0 if there is none or the kernel does not say
 * @ioas: what a device is attached to; 0 for none
 */
struct vcdev_file {
	enum vcdev_file_kind kind;
	pid_t pid;
	int fd;
	char comm[32];
	uid_t uid;
	char node[VCDEV_NAME_LEN];
	char device[VCDEV_NAME_LEN];
	int group;
	char state[16];
	uint32_t context, ioas;
};

/**
 * vcdev_files() - which files of VFIO and iommufd processes have open
 * @host: system, or NULL
 * @pid: process to look at; 0 for all
 * @list: result, an array that the caller gives to free(), in order of process and
 *	file descriptor
 * @nr_hidden: number of processes that the caller may not look into; or NULL
 * @err: reason of a failure, or NULL
 *
 * What a device is bound to is known with modules that show it in fdinfo, as ours
 * do; the rest is so with any kernel. A device that is held only by a mapping of its
 * registers, or by KVM, is not seen.
 *
 * Return: the number of files, or a negative errno: -ESRCH if there is no process
 * @pid, -EACCES if the caller may not look into @pid.
 */
ssize_t vcdev_files(const struct vcdev_host *host, pid_t pid,
		    struct vcdev_file **list, size_t *nr_hidden,
		    struct vcdev_error *err);

/**
 * vcdev_file_is_of() - does an open file hold a function
 * @file: from vcdev_files()
 * @pci: function
 *
 * Return: true if it is the function's cdev, the function opened through its group,
 * or its group.
 */
bool vcdev_file_is_of(const struct vcdev_file *file, const struct vcdev_pci *pci);

/**
 * vcdev_file_is_of_mdev() - does an open file hold a mediated device
 * @file: from vcdev_files()
 * @mdev: device
 *
 * Return: as vcdev_file_is_of().
 */
bool vcdev_file_is_of_mdev(const struct vcdev_file *file, const struct vcdev_mdev *mdev);

/* --------------------------------------------------------- driver binding */

/**
 * vcdev_driver_lock() - keep other users of this library from changing drivers
 * @host: system, or NULL
 * @err: reason of a failure, or NULL
 *
 * Waits for the holder of the lock, however long that takes.
 *
 * Return: a number for vcdev_driver_unlock(), or a negative errno: -EACCES
 * without the rights to change drivers.
 */
int vcdev_driver_lock(const struct vcdev_host *host, struct vcdev_error *err);

/**
 * vcdev_driver_unlock() - let others change drivers again
 * @lock: what vcdev_driver_lock() returned
 */
void vcdev_driver_unlock(int lock);

/**
 * vcdev_driver_may_bind() - would binding a function to a VFIO driver be of use
 * @host: system, or NULL
 * @pci: function
 * @with: BDFs of functions that the caller is going to bind as well
 * @nr_with: their number
 * @err: reason of a failure, or NULL
 *
 * Changes nothing.
 *
 * Return: 0, or -ENODEV without an IOMMU group, -EINVAL for a bridge, -EBUSY if
 * other members of the group are in use by kernel drivers (named in @err), if
 * it is a PF with VFs, which would vanish with its driver, or if a file system
 * on its disk is mounted. (Swap and device mapper are not looked at.)
 */
int vcdev_driver_may_bind(const struct vcdev_host *host,
			  const struct vcdev_pci *pci,
			  const char (*with)[VCDEV_BDF_LEN], size_t nr_with,
			  struct vcdev_error *err);

/**
 * vcdev_driver_bind() - give a function to a driver, remembering its former one
 * @host: system, or NULL
 * @bdf: function, full form
 * @driver: usually "vfio-pci"; loaded by modprobe if it is missing
 * @err: reason of a failure, or NULL
 *
 * On failure the former driver has been put back; if it did not take the
 * function, @err says so, and the record stays for vcdev_driver_restore(). Nothing
 * is done if the function has that driver already.
 *
 * Return: 1 if the driver was changed, 0 if it was there already, or a negative
 * errno: -EBUSY if it has another VFIO driver and is open (the kernel would wait
 * for the holder, who is named in @err), or if a file system on its disk is
 * mounted; -ENOENT if there is no such driver, -EACCES or -EPERM without rights,
 * -ENODEV if there is no such function or the driver does not take it.
 */
int vcdev_driver_bind(const struct vcdev_host *host, const char *bdf,
		      const char *driver, struct vcdev_error *err);

/**
 * vcdev_driver_may_restore() - would vcdev_driver_restore() take a function back
 * @host: system, or NULL
 * @pci: function
 * @driver: its former driver, "" for none; as the kernel chooses without a record
 * @err: reason of a failure, or NULL
 *
 * What can be known beforehand: it changes nothing.
 *
 * Return: 1 if @driver is known from a record, 0 if the kernel would choose, or a
 * negative errno: -EINVAL and -EBUSY as vcdev_driver_restore().
 */
int vcdev_driver_may_restore(const struct vcdev_host *host, const struct vcdev_pci *pci,
			     char driver[VCDEV_NAME_LEN], struct vcdev_error *err);

/**
 * vcdev_driver_restore() - take a function back from its VFIO driver
 * @host: system, or NULL
 * @bdf: function, full form
 * @driver: the driver that it has now, "" for none
 * @err: reason of a failure, or NULL
 *
 * The former driver is the one that vcdev_driver_bind() remembered. Without a
 * record the kernel chooses.
 *
 * Return: 0, or a negative errno: -EINVAL if no VFIO driver has the function,
 * -EBUSY if it is open (the holder is named in @err: the kernel would wait for
 * it), or if another member of its group is, so that no kernel driver could have
 * it; -EACCES or -EPERM without rights, -ENODEV if the former driver does not take
 * it back (then the VFIO driver has it again, and the record stays).
 */
int vcdev_driver_restore(const struct vcdev_host *host, const char *bdf,
			 char driver[VCDEV_NAME_LEN], struct vcdev_error *err);

/**
 * vcdev_sriov_set() - set the number of VFs of a PF
 * @host: system, or NULL
 * @bdf: PF, full form
 * @nr_vfs: 0 to its maximum
 * @err: reason of a failure, or NULL
 *
 * The kernel goes from one number to another through 0, so VFs that exist are
 * destroyed and made again. If the new number fails, the old one is put back.
 *
 * Return: 0, or a negative errno: -EINVAL if @bdf is a VF or not SR-IOV capable,
 * -ERANGE if @nr_vfs is too large, -ENOENT if its driver cannot make VFs, -EBUSY
 * if a VF that would vanish is open (the holder is named in @err).
 */
int vcdev_sriov_set(const struct vcdev_host *host, const char *bdf,
		    unsigned int nr_vfs, struct vcdev_error *err);

/* ---------------------------------------------------- contexts and memory */

struct vcdev_ctx;

/**
 * struct vcdev_iova_range - usable IOVAs
 * @start: first byte
 * @last: last byte, inclusive
 */
struct vcdev_iova_range {
	uint64_t start, last;
};

/* What the device may do with mapped memory. */
#define VCDEV_MAP_READ	(1u << 0)	/* device reads: RAM to device */
#define VCDEV_MAP_WRITE	(1u << 1)	/* device writes: device to RAM */
#define VCDEV_MAP_RW	(VCDEV_MAP_READ | VCDEV_MAP_WRITE)

/**
 * vcdev_ctx_open() - open a context
 * @host: system, or NULL
 * @ctx: result, for vcdev_ctx_close()
 * @err: reason of a failure, or NULL
 *
 * A file that the process was started with as "iommufd" comes first, once; then
 * /dev/iommu is opened.
 *
 * Return: 0, or a negative errno: -EINVAL if that file is something else, -ENOENT if
 * iommufd is not loaded, -EACCES without rights on /dev/iommu.
 */
int vcdev_ctx_open(const struct vcdev_host *host, struct vcdev_ctx **ctx,
		   struct vcdev_error *err);

/**
 * vcdev_ctx_open_container() - open a context by the container's node, /dev/vfio/vfio
 * @host: system, or NULL
 * @ctx: result, for vcdev_ctx_close()
 * @err: reason of a failure, or NULL
 *
 * For vcdev_dev_open_group(). Its address space comes with the first device and goes,
 * and the mappings with it, with the last.
 *
 * Return: as vcdev_ctx_open().
 */
int vcdev_ctx_open_container(const struct vcdev_host *host, struct vcdev_ctx **ctx,
			     struct vcdev_error *err);

/**
 * vcdev_ctx_close() - close a context; its IOASes and mappings go with it
 * @ctx: context without devices; NULL is allowed
 */
void vcdev_ctx_close(struct vcdev_ctx *ctx);

/**
 * vcdev_ctx_fd() - the file descriptor of a context, which keeps it
 * @ctx: context
 */
int vcdev_ctx_fd(const struct vcdev_ctx *ctx);

/**
 * vcdev_ioas_alloc() - make an address space
 * @ctx: context
 * @ioas_id: result
 * @err: reason of a failure, or NULL
 *
 * Return: 0 or a negative errno.
 */
int vcdev_ioas_alloc(struct vcdev_ctx *ctx, uint32_t *ioas_id,
		     struct vcdev_error *err);

/**
 * vcdev_destroy() - destroy an object of a context
 * @ctx: context
 * @id: IOAS or other object
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -ENOENT if there is no such object, -EBUSY if
 * it is in use (an IOAS with a device attached).
 */
int vcdev_destroy(struct vcdev_ctx *ctx, uint32_t id, struct vcdev_error *err);

/**
 * vcdev_map() - let devices reach memory, at an IOVA of the caller's choice
 * @ctx: context
 * @ioas_id: address space
 * @va: memory, aligned as @iova
 * @length: bytes, whole I/O pages
 * @iova: where
 * @access: VCDEV_MAP_*
 * @err: reason of a failure, or NULL
 *
 * The memory is pinned and counts against RLIMIT_MEMLOCK until it is unmapped.
 *
 * Return: 0, or a negative errno: -EEXIST if something is mapped there, -EINVAL
 * for a wrong alignment or a reserved IOVA, -EFAULT if @va is not mapped or
 * read-only, -ENOMEM at the limit.
 */
int vcdev_map(struct vcdev_ctx *ctx, uint32_t ioas_id, void *va, uint64_t length,
	      uint64_t iova, unsigned int access, struct vcdev_error *err);

/**
 * vcdev_map_any() - let devices reach memory, at an IOVA of the kernel's choice
 * @ctx: context
 * @ioas_id: address space
 * @va: memory
 * @length: bytes, whole I/O pages
 * @access: VCDEV_MAP_*
 * @iova: result
 * @err: reason of a failure, or NULL
 *
 * Return: as vcdev_map(); -ENOSPC if no IOVA range is large enough.
 */
int vcdev_map_any(struct vcdev_ctx *ctx, uint32_t ioas_id, void *va,
		  uint64_t length, unsigned int access, uint64_t *iova,
		  struct vcdev_error *err);

/**
 * typedef vcdev_progress_fn - told how far a long call is
 * @done: bytes so far
 * @total: bytes of all
 * @arg: of the caller
 *
 * Called in the thread that called the library, some hundred times a second at most.
 *
 * Return: false to stop.
 */
typedef bool (*vcdev_progress_fn)(uint64_t done, uint64_t total, void *arg);

/**
 * vcdev_populate() - bring memory in by several threads, ahead of a map
 * @va: memory, whole pages, mapped and writable
 * @length: bytes
 * @nr_threads: at most so many; 0: one for each processor that the caller may run on
 * @progress: called between pieces of the work, or NULL
 * @arg: for @progress
 * @err: reason of a failure, or NULL
 *
 * Mapping memory that was never touched (a VM's RAM) clears all of its pages in one
 * thread. After this the map finds them there. The threads have the memory policy and
 * the processors of the caller; contents stay as they are. They are gone when it returns.
 *
 * Threads: any; several calls may run at the same time. Signals may be handled in the
 * threads: block those that must not be.
 *
 * Return: 0, or a negative errno: -ECANCELED if @progress said so, -ENOMEM if there is not
 * enough or a part is not mapped, -EFAULT for want of huge pages, -EINVAL if it is not
 * whole pages or not writable. What is there by then stays.
 */
int vcdev_populate(void *va, uint64_t length, unsigned int nr_threads,
		   vcdev_progress_fn progress, void *arg, struct vcdev_error *err);

/**
 * vcdev_unmap() - take mappings away
 * @ctx: context
 * @ioas_id: address space
 * @iova: first byte of a mapping
 * @length: bytes, whole mappings
 * @unmapped: number of bytes taken away, or NULL
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -ENOENT if nothing is mapped there or only a
 * part of a mapping was named.
 */
int vcdev_unmap(struct vcdev_ctx *ctx, uint32_t ioas_id, uint64_t iova,
		uint64_t length, uint64_t *unmapped, struct vcdev_error *err);

/**
 * vcdev_copy() - map what one address space maps in another, too
 * @ctx: context
 * @dst_ioas: where to
 * @dst_iova: its IOVA
 * @src_ioas: where from
 * @src_iova: its IOVA
 * @length: bytes
 * @access: VCDEV_MAP_*, no more than the source has
 * @err: reason of a failure, or NULL
 *
 * The memory is shared and pinned once.
 *
 * Return: as vcdev_map(); -ENOENT if the source is not mapped throughout.
 */
int vcdev_copy(struct vcdev_ctx *ctx, uint32_t dst_ioas, uint64_t dst_iova,
	       uint32_t src_ioas, uint64_t src_iova, uint64_t length,
	       unsigned int access, struct vcdev_error *err);

/**
 * vcdev_iova_ranges() - the IOVAs that can be mapped, given what is attached
 * @ctx: context
 * @ioas_id: address space
 * @ranges: result, an array that the caller gives to free()
 * @alignment: alignment that IOVAs need, in bytes; or NULL
 * @err: reason of a failure, or NULL
 *
 * Return: the number of ranges, or a negative errno.
 */
ssize_t vcdev_iova_ranges(struct vcdev_ctx *ctx, uint32_t ioas_id,
			  struct vcdev_iova_range **ranges, uint64_t *alignment,
			  struct vcdev_error *err);

/**
 * vcdev_allow_iovas() - say which IOVAs must stay usable
 * @ctx: context
 * @ioas_id: address space
 * @ranges: array
 * @nr_ranges: its length
 * @err: reason of a failure, or NULL
 *
 * From then on a device that would take one of them away cannot be attached.
 *
 * Return: 0, or a negative errno: -EADDRINUSE if one is reserved already.
 */
int vcdev_allow_iovas(struct vcdev_ctx *ctx, uint32_t ioas_id,
		      const struct vcdev_iova_range *ranges, size_t nr_ranges,
		      struct vcdev_error *err);

/* --------------------------------------------------------- choosing IOVAs */

struct vcdev_iovas;

/**
 * vcdev_iovas_new() - keep account of the free IOVAs of an address space
 * @ctx: context
 * @ioas_id: address space, with its devices attached, since these narrow it
 * @iovas: result, for vcdev_iovas_delete()
 * @err: reason of a failure, or NULL
 *
 * For programs that choose IOVAs themselves: below a limit of the device, or before
 * there is memory. It knows what vcdev_iova_ranges() says and what it was told since,
 * not what is mapped: do not use vcdev_map_any() in the same address space.
 *
 * Threads: functions on one vcdev_iovas one at a time.
 *
 * Return: 0 or a negative errno.
 */
int vcdev_iovas_new(struct vcdev_ctx *ctx, uint32_t ioas_id, struct vcdev_iovas **iovas,
		    struct vcdev_error *err);

/**
 * vcdev_iovas_delete() - end the account; mappings stay
 * @iovas: account; NULL is allowed
 */
void vcdev_iovas_delete(struct vcdev_iovas *iovas);

/**
 * vcdev_iovas_alloc() - take the lowest free IOVAs that fit
 * @iovas: account
 * @length: bytes, a multiple of the alignment of the address space
 * @alignment: of the IOVA in bytes, a power of two; 0: that of the address space.
 *	2 MiB for memory of huge pages lets the IOMMU use large ones as well
 * @limit: last IOVA that may be used; UINT64_MAX for all
 * @iova: result
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -ENOSPC if nothing fits, -EINVAL for a wrong length
 * or alignment, -ENOMEM.
 */
int vcdev_iovas_alloc(struct vcdev_iovas *iovas, uint64_t length, uint64_t alignment,
		      uint64_t limit, uint64_t *iova, struct vcdev_error *err);

/**
 * vcdev_iovas_reserve() - take certain IOVAs
 * @iovas: account
 * @iova: first
 * @length: bytes
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -EEXIST if they are not all free, -EINVAL, -ENOMEM.
 */
int vcdev_iovas_reserve(struct vcdev_iovas *iovas, uint64_t iova, uint64_t length,
			struct vcdev_error *err);

/**
 * vcdev_iovas_release() - give IOVAs back, after they were unmapped
 * @iovas: account
 * @iova: first
 * @length: bytes; any part of what was taken
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -EINVAL if they are free already or were never
 * there; -ENOMEM, and then they stay taken.
 */
int vcdev_iovas_release(struct vcdev_iovas *iovas, uint64_t iova, uint64_t length,
			struct vcdev_error *err);

/* ------------------------------------------------------ files from outside */

/**
 * vcdev_passed_name() - the name by which a device is passed to a process
 * @bdf: its address, in either form
 * @name: result: "vfio-0000-01-00.0"; LISTEN_FDNAMES has colons between names
 *
 * Return: 0, or -EINVAL if @bdf is no PCI address.
 */
int vcdev_passed_name(const char *bdf, char name[VCDEV_NAME_LEN]);

/**
 * vcdev_passed_devices() - the devices that this process was started with
 * @bdfs: result, an array of addresses that the caller gives to free()
 * @err: reason of a failure, or NULL
 *
 * Those among LISTEN_FDNAMES that are named as above, of the first 256, in their
 * order; whether they have been opened since or not.
 *
 * Return: their number, or -ENOMEM.
 */
ssize_t vcdev_passed_devices(char (**bdfs)[VCDEV_BDF_LEN], struct vcdev_error *err);

/* ---------------------------------------------------------------- devices */

struct vcdev_dev;

/**
 * struct vcdev_dev_info - what VFIO says about a device
 * @flags: VFIO_DEVICE_FLAGS_*
 * @nr_regions: number of region indexes
 * @nr_irqs: number of interrupt indexes
 */
struct vcdev_dev_info {
	uint32_t flags, nr_regions, nr_irqs;
};

/**
 * struct vcdev_area - a part of a region
 * @offset: from the start of the region
 * @size: bytes
 */
struct vcdev_area {
	uint64_t offset, size;
};

/**
 * struct vcdev_region - one region
 * @flags: VFIO_REGION_INFO_FLAG_*
 * @size: bytes; 0 for a region that the device does not have
 * @offset: place in the device file
 * @msix_mappable: the pages of the MSI-X table can be mapped like the others
 * @type: type of a device-specific region, else 0
 * @subtype: its subtype
 * @is_sparse: only @areas can be mapped, not all of the region
 * @nr_areas: length of @areas
 * @areas: owned by this struct, see vcdev_region_free()
 */
struct vcdev_region {
	uint32_t flags;
	uint64_t size, offset;
	bool msix_mappable;
	uint32_t type, subtype;
	bool is_sparse;
	size_t nr_areas;
	struct vcdev_area *areas;
};

/**
 * struct vcdev_irq - one kind of interrupt
 * @flags: VFIO_IRQ_INFO_*
 * @count: number of vectors; 0 if the device has none of this kind
 */
struct vcdev_irq {
	uint32_t flags, count;
};

/**
 * vcdev_dev_open() - open a device
 * @host: system, or NULL
 * @name: as for vcdev_pci_find()
 * @dev: result, for vcdev_dev_close()
 * @err: reason of a failure, or NULL
 *
 * A file that the process was started with for this device comes first, once.
 *
 * Return: 0, or a negative errno: -EINVAL if that file is another one, -ENODEV if
 * there is no such function, -ENXIO if it has no cdev (@err says why: its driver, or
 * the vfio module that is loaded), -EACCES without rights on the cdev, -EBUSY if its
 * group is open.
 */
int vcdev_dev_open(const struct vcdev_host *host, const char *name,
		   struct vcdev_dev **dev, struct vcdev_error *err);

/**
 * vcdev_dev_open_group() - open a device through its IOMMU group
 * @host: system, or NULL
 * @name: as for vcdev_pci_find()
 * @ctx: context that is the group's container, which has to live longer than @dev
 * @dev: result, for vcdev_dev_close(); bound and attached: it can be neither bound
 *	nor moved
 * @ioas_id: result: the address space of @ctx for devices that come this way
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -ENODEV if there is no such function, -ENXIO if
 * it is in no group or not on vfio-pci, -EACCES without rights on the group,
 * -EBUSY if the group is open or a kernel driver runs a device of it, -ENOTTY
 * with the distribution's vfio.
 */
int vcdev_dev_open_group(const struct vcdev_host *host, const char *name,
			 struct vcdev_ctx *ctx, struct vcdev_dev **dev, uint32_t *ioas_id,
			 struct vcdev_error *err);

/**
 * vcdev_dev_close() - close a device; it is stopped, detached and unbound first
 * @dev: device; NULL is allowed
 *
 * Mappings of its regions stay: unmap them before.
 */
void vcdev_dev_close(struct vcdev_dev *dev);

/**
 * vcdev_dev_fd() - the file descriptor of a device, which keeps it
 * @dev: device
 */
int vcdev_dev_fd(const struct vcdev_dev *dev);

/**
 * vcdev_dev_pci() - what sysfs said about a device when it was opened
 * @dev: device
 */
const struct vcdev_pci *vcdev_dev_pci(const struct vcdev_dev *dev);

/**
 * vcdev_dev_bind() - put a device under a context
 * @dev: device that is not bound
 * @ctx: context, which has to live longer than @dev
 * @err: reason of a failure, or NULL
 *
 * The kernel enables the device and resets it if it can. After this regions and
 * interrupts can be used; DMA is blocked.
 *
 * Return: 0, or a negative errno: -EINVAL if it is bound, -EBUSY if the device
 * or another one of its group is in use (the holder is named in @err if there
 * is one to see), -EPERM if the group belongs to another context, if interrupts
 * are not isolated, or if firmware uses memory through the device; -EACCES for a VF
 * or PF that needs a token. After any other failure it may be bound, which only
 * vcdev_dev_close() undoes.
 */
int vcdev_dev_bind(struct vcdev_dev *dev, struct vcdev_ctx *ctx,
		   struct vcdev_error *err);

/**
 * vcdev_dev_attach() - give a device its address space, or another one
 * @dev: bound device
 * @pt_id: IOAS of the context
 * @hwpt_id: the page table that was chosen, or NULL
 * @err: reason of a failure, or NULL
 *
 * On failure the device keeps the address space that it had. When it had one,
 * DMA that is under way during the switch may be aborted; it never goes astray.
 *
 * Return: 0, or a negative errno: -ENOENT if there is no such IOAS, -EINVAL if
 * the device is not bound, -EADDRINUSE if memory is mapped where the device has
 * a reserved region.
 */
int vcdev_dev_attach(struct vcdev_dev *dev, uint32_t pt_id, uint32_t *hwpt_id,
		     struct vcdev_error *err);

/**
 * vcdev_dev_detach() - take the address space away: DMA is blocked again
 * @dev: bound device
 * @err: reason of a failure, or NULL
 *
 * Return: 0 or a negative errno. -EINVAL if it is not attached.
 */
int vcdev_dev_detach(struct vcdev_dev *dev, struct vcdev_error *err);

/**
 * vcdev_dev_info() - how many regions and interrupts a device has
 * @dev: bound device
 * @info: result
 * @err: reason of a failure, or NULL
 *
 * Return: 0 or a negative errno.
 */
int vcdev_dev_info(struct vcdev_dev *dev, struct vcdev_dev_info *info,
		   struct vcdev_error *err);

/**
 * vcdev_dev_reset() - reset one function
 * @dev: bound device
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -ENOTTY if it cannot be reset alone.
 */
int vcdev_dev_reset(struct vcdev_dev *dev, struct vcdev_error *err);

/**
 * vcdev_dev_features() - what of VFIO_DEVICE_FEATURE a device has
 * @dev: bound device
 * @features: result: bit N for VFIO_DEVICE_FEATURE_... N
 * @err: reason of a failure, or NULL
 *
 * Return: 0 or a negative errno.
 */
int vcdev_dev_features(struct vcdev_dev *dev, uint64_t *features,
		       struct vcdev_error *err);

/**
 * struct vcdev_hw_info - the IOMMU that translates for a device
 * @type: IOMMU_HW_INFO_TYPE_*: 0 for one that says no more, 1 for Intel's
 * @cap: Intel: the capability register
 * @ecap: Intel: the extended capability register
 */
struct vcdev_hw_info {
	uint32_t type;
	uint64_t cap, ecap;
};

/**
 * vcdev_dev_hw_info() - which IOMMU translates for a device
 * @dev: device that was bound by vcdev_dev_bind()
 * @ctx: the context that it is bound to
 * @hw_info: result
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -EOPNOTSUPP if the kernel cannot tell.
 */
int vcdev_dev_hw_info(struct vcdev_dev *dev, struct vcdev_ctx *ctx,
		      struct vcdev_hw_info *hw_info, struct vcdev_error *err);

/**
 * struct vcdev_reset_function - a function that a reset of a slot or bus takes along
 * @bdf: which
 * @is_owned: belongs to the context of the device that was asked
 * @id: its ID in that context, 0 if it is not bound there
 */
struct vcdev_reset_function {
	char bdf[VCDEV_BDF_LEN];
	bool is_owned;
	uint32_t id;
};

/**
 * vcdev_dev_reset_set() - what a reset of a device's slot or bus takes along
 * @dev: device that is bound, by its cdev
 * @list: result, an array that the caller gives to free(); the device itself is in it
 * @is_owned: result: the reset would be allowed, as things are
 * @err: reason of a failure, or NULL
 *
 * Return: the number of functions, or a negative errno: -ENODEV if neither can be
 * reset (a device on a root bus).
 */
ssize_t vcdev_dev_reset_set(struct vcdev_dev *dev, struct vcdev_reset_function **list,
			    bool *is_owned, struct vcdev_error *err);

/**
 * vcdev_dev_reset_hot() - reset a device's slot or bus, and everything on it
 * @dev: device that is bound, by its cdev; its context owns all that is reset along
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -ENODEV if neither can be reset, -EINVAL if the
 * context does not own all of it, -ENOTTY if the link did not come up again.
 */
int vcdev_dev_reset_hot(struct vcdev_dev *dev, struct vcdev_error *err);

/**
 * vcdev_region_get() - describe a region
 * @dev: bound device
 * @index: VFIO_PCI_*_REGION_INDEX or above for device-specific ones
 * @region: result; give it to vcdev_region_free()
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -EINVAL if there is no such index.
 */
int vcdev_region_get(struct vcdev_dev *dev, uint32_t index,
		     struct vcdev_region *region, struct vcdev_error *err);

/**
 * vcdev_region_free() - free what vcdev_region_get() put into a description
 * @region: description
 */
void vcdev_region_free(struct vcdev_region *region);

/**
 * vcdev_region_read() - read from a region through the kernel
 * @dev: bound device
 * @index: region
 * @offset: from its start
 * @buf: result
 * @length: bytes
 * @err: reason of a failure, or NULL
 *
 * The kernel reads in naturally aligned pieces of up to 4 bytes (6.1).
 *
 * Return: 0, or a negative errno: -EINVAL beyond the end, -EIO after a part.
 */
int vcdev_region_read(struct vcdev_dev *dev, uint32_t index, uint64_t offset,
		      void *buf, size_t length, struct vcdev_error *err);

/**
 * vcdev_region_write() - write to a region through the kernel
 * @dev: bound device
 * @index: region
 * @offset: from its start
 * @buf: data
 * @length: bytes
 * @err: reason of a failure, or NULL
 *
 * Return: as vcdev_region_read().
 */
int vcdev_region_write(struct vcdev_dev *dev, uint32_t index, uint64_t offset,
		       const void *buf, size_t length, struct vcdev_error *err);

/**
 * vcdev_region_map() - map a region into the process
 * @dev: bound device
 * @index: region
 * @offset: from its start, whole pages
 * @length: bytes; 0 for all from @offset on
 * @prot: PROT_READ, PROT_WRITE or both
 * @addr: result, for vcdev_region_unmap()
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -EINVAL beyond the end or if this part of the
 * region cannot be mapped (use vcdev_region_read()).
 */
int vcdev_region_map(struct vcdev_dev *dev, uint32_t index, uint64_t offset,
		     uint64_t length, int prot, void **addr,
		     struct vcdev_error *err);

/**
 * vcdev_region_unmap() - undo vcdev_region_map()
 * @addr: what it gave; NULL is allowed
 * @length: bytes that were mapped: for a @length of 0 the size of the region
 *	less @offset
 */
void vcdev_region_unmap(void *addr, uint64_t length);

/**
 * vcdev_config_read() - read configuration space
 * @dev: bound device
 * @offset: bytes
 * @buf: result, little endian
 * @length: 1, 2 or 4
 * @err: reason of a failure, or NULL
 *
 * Return: 0 or a negative errno.
 */
int vcdev_config_read(struct vcdev_dev *dev, uint32_t offset, void *buf,
		      size_t length, struct vcdev_error *err);

/**
 * vcdev_config_write() - write configuration space, as far as VFIO allows
 * @dev: bound device
 * @offset: bytes
 * @buf: data, little endian
 * @length: 1, 2 or 4
 * @err: reason of a failure, or NULL
 *
 * Return: 0 or a negative errno.
 */
int vcdev_config_write(struct vcdev_dev *dev, uint32_t offset, const void *buf,
		       size_t length, struct vcdev_error *err);

/**
 * vcdev_dev_enable() - let a device answer on its BARs and, if wanted, do DMA
 * @dev: bound device
 * @bus_master: on or off; a device is opened with DMA off
 * @err: reason of a failure, or NULL
 *
 * Not atomic: one thread at a time.
 *
 * Return: 0 or a negative errno.
 */
int vcdev_dev_enable(struct vcdev_dev *dev, bool bus_master,
		     struct vcdev_error *err);

/**
 * vcdev_irq_get() - describe a kind of interrupt
 * @dev: bound device
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @irq: result
 * @err: reason of a failure, or NULL
 *
 * Return: 0, or a negative errno: -EINVAL if there is no such index.
 */
int vcdev_irq_get(struct vcdev_dev *dev, uint32_t index, struct vcdev_irq *irq,
		  struct vcdev_error *err);

/**
 * vcdev_irq_enable() - have interrupts signalled on eventfds
 * @dev: bound device
 * @index: VFIO_PCI_*_IRQ_INDEX; one of INTx, MSI, MSI-X at a time
 * @eventfds: one for each vector from 0 on; -1 leaves a vector out
 * @nr_eventfds: their number, at least 1
 * @err: reason of a failure, or NULL
 *
 * The eventfds stay the caller's. A level interrupt (INTx) is masked by the
 * kernel when it comes: vcdev_irq_unmask() after each.
 *
 * Return: 0, or a negative errno: -EINVAL for more vectors than the device has
 * or if another kind is enabled; -ENOSPC if the system has fewer vectors left.
 */
int vcdev_irq_enable(struct vcdev_dev *dev, uint32_t index, const int *eventfds,
		     size_t nr_eventfds, struct vcdev_error *err);

/**
 * vcdev_irq_disable() - stop all interrupts of a kind
 * @dev: bound device
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @err: reason of a failure, or NULL
 *
 * Return: 0 or a negative errno.
 */
int vcdev_irq_disable(struct vcdev_dev *dev, uint32_t index,
		      struct vcdev_error *err);

/**
 * vcdev_irq_unmask() - let a level interrupt come again
 * @dev: bound device
 * @index: VFIO_PCI_INTX_IRQ_INDEX
 * @err: reason of a failure, or NULL
 *
 * Return: 0 or a negative errno.
 */
int vcdev_irq_unmask(struct vcdev_dev *dev, uint32_t index,
		     struct vcdev_error *err);

/**
 * vcdev_irq_trigger() - raise an interrupt by software, to try the path
 * @dev: bound device
 * @index: VFIO_PCI_*_IRQ_INDEX, enabled
 * @vector: which
 * @err: reason of a failure, or NULL
 *
 * Return: 0 or a negative errno.
 */
int vcdev_irq_trigger(struct vcdev_dev *dev, uint32_t index, uint32_t vector,
		      struct vcdev_error *err);

#ifdef __cplusplus
}
#endif

#endif
