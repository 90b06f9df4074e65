// SPDX-License-Identifier: GPL-2.0
/*
 * What only the KUnit suites may call: the insides of the module, by name.
 */
#include "internal.h"

MH_EXPORT_KUNIT(mh_arena_base);
MH_EXPORT_KUNIT(mh_arena_punch);
MH_EXPORT_KUNIT(mh_arena_release);
MH_EXPORT_KUNIT(mh_arena_reserve);
MH_EXPORT_KUNIT(mh_batch);
MH_EXPORT_KUNIT(mh_blocks_release);
MH_EXPORT_KUNIT(mh_charge);
MH_EXPORT_KUNIT(mh_class_bytes);
MH_EXPORT_KUNIT(mh_client_count_held);
MH_EXPORT_KUNIT(mh_client_holding);
MH_EXPORT_KUNIT(mh_collector_tune);
MH_EXPORT_KUNIT(mh_freeze);
MH_EXPORT_KUNIT(mh_linger);
MH_EXPORT_KUNIT(mh_linger_exchange);
MH_EXPORT_KUNIT(mh_linger_release);
MH_EXPORT_KUNIT(mh_object_stat);
MH_EXPORT_KUNIT(mh_objects);
MH_EXPORT_KUNIT(mh_pin);
MH_EXPORT_KUNIT(mh_pin_slot);
MH_EXPORT_KUNIT(mh_pool_adopt);
MH_EXPORT_KUNIT(mh_pool_bytes);
MH_EXPORT_KUNIT(mh_pool_create);
MH_EXPORT_KUNIT(mh_pool_refill);
MH_EXPORT_KUNIT(mh_pool_retire);
MH_EXPORT_KUNIT(mh_pool_take);
MH_EXPORT_KUNIT(mh_reap);
MH_EXPORT_KUNIT(mh_reap_step);
MH_EXPORT_KUNIT(mh_ref);
MH_EXPORT_KUNIT(mh_refer);
MH_EXPORT_KUNIT(mh_site_get);
MH_EXPORT_KUNIT(mh_sites);
MH_EXPORT_KUNIT(mh_trace_begin);
MH_EXPORT_KUNIT(mh_trace_step);
MH_EXPORT_KUNIT(mh_trim_all);
MH_EXPORT_KUNIT(mh_trim_step);
MH_EXPORT_KUNIT(mh_type_bin);
MH_EXPORT_KUNIT(mh_type_find);
MH_EXPORT_KUNIT(mh_uncharge);
MH_EXPORT_KUNIT(mh_unpin);
MH_EXPORT_KUNIT(mh_usage);
