// SPDX-License-Identifier: GPL-2.0
/*
 * Migration: the states that VFIO knows, and the device as a stream of bytes.
 *
 * The engine is frozen in every state but RUNNING, so what is to be saved does not
 * change. Entering STOP_COPY makes an image of it, whole, and hands out a file to
 * read it from; entering RESUMING hands out one to write an image to, which is
 * looked at, and put in place, when that state is left. An image that is refused
 * makes the state ERROR, and a reset puts it right.
 *
 * The type vcopy-pin has the state RUNNING_P2P, vcopy-rw has not. There it is as in
 * STOP: no memory is touched, registers can be written, what they ask for is done
 * later.
 *
 * A stream has no pointer to its device: the file can be kept for longer than the
 * device is open, or exists. The device has a reference to the file of its present
 * state, and with the state the stream ends: ENODEV from then on. User memory is
 * never touched with a lock held that the device takes, so a user whose memory is
 * slow can hold up nobody else.
 */
#include <linux/anon_inodes.h>
#include <linux/crc32.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vcopy.h"

#define IMAGE_FLAGS	(VCOPY_IMAGE_BUSY | VCOPY_IMAGE_STOP | \
			 VCOPY_IMAGE_DONE | VCOPY_IMAGE_LOST)

/**
 * struct vcopy_stream - an image and how much of it has been transferred
 * @lock: protects @at and, of a stream that is written, @over and @image
 * @at: bytes transferred
 * @over: the device has left the state
 * @image: of a stream that is read it does not change
 */
struct vcopy_stream {
	struct mutex lock;	/* see above */
	size_t at;
	bool over;
	struct vcopy_image image;
};

/*
 * Images
 */

static u32 image_crc(const struct vcopy_image *image)
{
	const size_t skip = offsetofend(struct vcopy_image, crc);

	return crc32_le(~0, (const u8 *)image + skip, sizeof(*image) - skip);
}

static u32 image_caps(struct vcopy *vc)
{
	return vcopy_reg_read(vc, VCOPY_CAPS);
}

static void image_make(struct vcopy *vc, struct vcopy_image *image)
{
	image->magic = cpu_to_le32(VCOPY_IMAGE_MAGIC);
	image->version = cpu_to_le32(VCOPY_IMAGE_VERSION);
	image->caps = cpu_to_le32(image_caps(vc));
	vcopy_engine_save(vc, image);
	vcopy_config_read(vc, 0, image->config, sizeof(image->config));
	image->crc = cpu_to_le32(image_crc(image));
}

/*
 * -EINVAL: of something else; -EPROTONOSUPPORT: of another version; -EXDEV: of a
 * device that has other capabilities; -ENODATA: it ends early; -EBADMSG: broken.
 * The command itself is looked at by the engine, as any other.
 */
static int image_check(struct vcopy *vc, const struct vcopy_stream *stream)
{
	const struct vcopy_image *image = &stream->image;

	if (stream->at < offsetof(struct vcopy_image, src))
		return -ENODATA;
	if (image->magic != cpu_to_le32(VCOPY_IMAGE_MAGIC))
		return -EINVAL;
	if (image->version != cpu_to_le32(VCOPY_IMAGE_VERSION))
		return -EPROTONOSUPPORT;
	if (image->caps != cpu_to_le32(image_caps(vc)))
		return -EXDEV;
	if (stream->at < sizeof(*image))
		return -ENODATA;
	if (image->crc != cpu_to_le32(image_crc(image)) ||
	    le32_to_cpu(image->flags) & ~IMAGE_FLAGS ||
	    le32_to_cpu(image->error) > VCOPY_ERROR_STOPPED ||
	    le64_to_cpu(image->job_done) > le64_to_cpu(image->job_len))
		return -EBADMSG;
	return 0;
}

/*
 * Files
 */

static ssize_t stream_read(struct file *file, char __user *buf, size_t count,
			   loff_t *pos)
{
	struct vcopy_stream *stream = file->private_data;
	ssize_t rc = -ENODEV;

	/* Only readers take it: the device does not, to end the stream. */
	if (mutex_lock_interruptible(&stream->lock))
		return -ERESTARTSYS;
	if (!READ_ONCE(stream->over)) {
		rc = min(count, sizeof(stream->image) - stream->at);
		if (copy_to_user(buf, (u8 *)&stream->image + stream->at, rc))
			rc = -EFAULT;
		else
			stream->at += rc;
	}
	mutex_unlock(&stream->lock);
	return rc;
}

static ssize_t stream_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *pos)
{
	struct vcopy_stream *stream = file->private_data;
	ssize_t rc;
	void *data;

	/* Of what is too long, the part that is, and then nothing. */
	count = min(count, sizeof(stream->image) + 1);
	if (!count)
		return 0;
	data = vmemdup_user(buf, count);
	if (IS_ERR(data))
		return PTR_ERR(data);

	mutex_lock(&stream->lock);
	rc = min(count, sizeof(stream->image) - stream->at);
	if (stream->over) {
		rc = -ENODEV;
	} else if (!rc) {
		rc = -EFBIG;
	} else {
		memcpy((u8 *)&stream->image + stream->at, data, rc);
		stream->at += rc;
	}
	mutex_unlock(&stream->lock);
	kvfree(data);
	return rc;
}

static int stream_release(struct inode *inode, struct file *file)
{
	kvfree(file->private_data);
	return 0;
}

static const struct file_operations save_fops = {
	.owner = THIS_MODULE,
	.read = stream_read,
	.release = stream_release,
	.llseek = no_llseek,
};

static const struct file_operations resume_fops = {
	.owner = THIS_MODULE,
	.write = stream_write,
	.release = stream_release,
	.llseek = no_llseek,
};

static struct file *stream_make(const struct file_operations *fops, int flags)
{
	struct vcopy_stream *stream;
	struct file *file;

	stream = kvzalloc(sizeof(*stream), GFP_KERNEL_ACCOUNT);
	if (!stream)
		return ERR_PTR(-ENOMEM);
	mutex_init(&stream->lock);

	file = anon_inode_getfile("vcopy-stream", fops, stream, flags);
	if (IS_ERR(file))
		kvfree(stream);
	else
		stream_open(file_inode(file), file);
	return file;
}

/* The stream of the present state, if there is one, ends. */
static void stream_end(struct vcopy_migration *m)
{
	struct vcopy_stream *stream;

	lockdep_assert_held(&m->lock);
	if (!m->file)
		return;

	stream = m->file->private_data;
	if (m->state == VFIO_DEVICE_STATE_RESUMING)
		mutex_lock(&stream->lock);
	WRITE_ONCE(stream->over, true);
	if (m->state == VFIO_DEVICE_STATE_RESUMING)
		mutex_unlock(&stream->lock);
	fput(m->file);
	m->file = NULL;
}

/*
 * States
 */

static struct file *stream_begin_save(struct vcopy *vc)
{
	struct vcopy_stream *stream;
	struct file *file;

	file = stream_make(&save_fops, O_RDONLY);
	if (IS_ERR(file))
		return file;
	stream = file->private_data;
	image_make(vc, &stream->image);
	vc->migration.file = get_file(file);
	return file;
}

static struct file *stream_begin_resume(struct vcopy *vc)
{
	struct file *file = stream_make(&resume_fops, O_WRONLY);

	if (!IS_ERR(file))
		vc->migration.file = get_file(file);
	return file;
}

static int image_load(struct vcopy *vc)
{
	struct file *file = get_file(vc->migration.file);
	struct vcopy_stream *stream = file->private_data;
	int rc;

	stream_end(&vc->migration);
	/* Nobody writes to it any more. */
	rc = image_check(vc, stream);
	if (!rc) {
		vcopy_config_reset(vc);
		vcopy_config_write(vc, 0, stream->image.config,
				   sizeof(stream->image.config));
		vcopy_engine_load(vc, &stream->image);
	}
	fput(file);
	return rc;
}

/* One step, as vfio_mig_get_next_state() makes them. */
static struct file *migration_step(struct vcopy *vc,
				   enum vfio_device_mig_state next)
{
	struct vcopy_migration *m = &vc->migration;
	struct file *file = NULL;
	int rc;

	if (m->state == VFIO_DEVICE_STATE_RUNNING)
		vcopy_engine_freeze(vc);

	if (m->state == VFIO_DEVICE_STATE_STOP_COPY) {
		stream_end(m);
	} else if (m->state == VFIO_DEVICE_STATE_RESUMING) {
		rc = image_load(vc);
		if (rc) {
			m->state = VFIO_DEVICE_STATE_ERROR;
			return ERR_PTR(rc);
		}
	}

	if (next == VFIO_DEVICE_STATE_STOP_COPY)
		file = stream_begin_save(vc);
	else if (next == VFIO_DEVICE_STATE_RESUMING)
		file = stream_begin_resume(vc);
	if (IS_ERR(file))
		return file;

	m->state = next;
	if (next == VFIO_DEVICE_STATE_RUNNING)
		vcopy_engine_thaw(vc);
	return file;
}

/* Only states that are the end of a way have a file. */
static struct file *vcopy_set_state(struct vfio_device *vdev,
				    enum vfio_device_mig_state state)
{
	struct vcopy *vc = to_vcopy(vdev);
	struct vcopy_migration *m = &vc->migration;
	enum vfio_device_mig_state next;
	struct file *file = NULL;
	int rc;

	mutex_lock(&m->lock);
	while (m->state != state && !IS_ERR(file)) {
		rc = vfio_mig_get_next_state(vdev, m->state, state, &next);
		file = rc ? ERR_PTR(rc) : migration_step(vc, next);
	}
	mutex_unlock(&m->lock);
	return file;
}

static int vcopy_get_state(struct vfio_device *vdev,
			   enum vfio_device_mig_state *state)
{
	struct vcopy_migration *m = &to_vcopy(vdev)->migration;

	mutex_lock(&m->lock);
	*state = m->state;
	mutex_unlock(&m->lock);
	return 0;
}

static const struct vfio_migration_ops vcopy_migration_ops = {
	.migration_set_state = vcopy_set_state,
	.migration_get_state = vcopy_get_state,
};

/* Reset of the device, in any state; also after close, when there is no thread. */
void vcopy_migration_reset(struct vcopy *vc)
{
	struct vcopy_migration *m = &vc->migration;

	mutex_lock(&m->lock);
	stream_end(m);
	vcopy_engine_reset(vc);
	vcopy_config_reset(vc);
	m->state = VFIO_DEVICE_STATE_RUNNING;
	vcopy_engine_thaw(vc);
	mutex_unlock(&m->lock);
}

void vcopy_migration_init(struct vcopy *vc)
{
	mutex_init(&vc->migration.lock);
	vc->migration.state = VFIO_DEVICE_STATE_RUNNING;
	vc->migration.file = NULL;
	vc->vdev.mig_ops = &vcopy_migration_ops;
	vc->vdev.migration_flags = VFIO_MIGRATION_STOP_COPY;
	if (vcopy_pins(vc))
		vc->vdev.migration_flags |= VFIO_MIGRATION_P2P;
}
