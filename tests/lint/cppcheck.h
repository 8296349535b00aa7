/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What cppcheck has to know of the kernel's macros when it reads drivers/: which
 * variables they set, and that they are loops. Nothing is compiled with it.
 */
void *cppcheck_any(void);

#define CPPCHECK_LOOP(pos) for ((pos) = cppcheck_any(); (pos); (pos) = cppcheck_any())
#define list_for_each_entry(pos, head, member) CPPCHECK_LOOP(pos)
#define list_for_each_entry_safe(pos, next, head, member) \
	for ((pos) = cppcheck_any(), (next) = cppcheck_any(); (pos); (pos) = (next))
#define list_for_each_entry_continue_reverse(pos, head, member) CPPCHECK_LOOP(pos)
#define xa_for_each(xa, index, entry) \
	for ((index) = 0, (entry) = cppcheck_any(); (entry); (entry) = cppcheck_any())
#define xa_for_each_range(xa, index, entry, start, last) xa_for_each(xa, index, entry)
#define for_each_set_bit_from(bit, map, size) for (; (bit) < (size); (bit)++)
#define RB_DECLARE_CALLBACKS_MAX(a, name, b, c, d, e, f) extern int name
/* trace.h */
#define TRACE_EVENT(...)
#define DECLARE_EVENT_CLASS(...)
#define DEFINE_EVENT(...)
