//! The wire, byte by byte. A change here is a new ABI revision.

#![cfg(target_pointer_width = "64")]

use std::mem::{align_of, offset_of, size_of};

use zoo_abi::*;

#[test]
fn dlpack_structs_match_the_c_header() {
    assert_eq!((size_of::<DlDevice>(), align_of::<DlDevice>()), (8, 4));
    assert_eq!((size_of::<DlDataType>(), align_of::<DlDataType>()), (4, 2));
    assert_eq!(size_of::<DlVersion>(), 8);
    assert_eq!(size_of::<DlTensor>(), 48);
    assert_eq!(offset_of!(DlTensor, data), 0);
    assert_eq!(offset_of!(DlTensor, device), 8);
    assert_eq!(offset_of!(DlTensor, ndim), 16);
    assert_eq!(offset_of!(DlTensor, dtype), 20);
    assert_eq!(offset_of!(DlTensor, shape), 24);
    assert_eq!(offset_of!(DlTensor, strides), 32);
    assert_eq!(offset_of!(DlTensor, byte_offset), 40);
    assert_eq!(size_of::<DlManaged>(), 80);
    assert_eq!(offset_of!(DlManaged, version), 0);
    assert_eq!(offset_of!(DlManaged, manager_ctx), 8);
    assert_eq!(offset_of!(DlManaged, deleter), 16);
    assert_eq!(offset_of!(DlManaged, flags), 24);
    assert_eq!(offset_of!(DlManaged, dl), 32);
    assert_eq!(size_of::<Owned>(), 8);
    assert_eq!(size_of::<View<'_>>(), 48);
}

#[test]
fn call_structs_stay_where_they_are() {
    assert_eq!(size_of::<NamedView<'_>>(), 64);
    assert_eq!(offset_of!(NamedView<'_>, tensor), 16);
    assert_eq!(size_of::<NamedTensor>(), 40);
    assert_eq!(offset_of!(NamedTensor, tensor), 32);
    assert_eq!(size_of::<Cost>(), 16);
    assert_eq!(size_of::<CallArgs<'_>>(), 120);
    assert_eq!(offset_of!(CallArgs<'_>, inputs), 0);
    assert_eq!(offset_of!(CallArgs<'_>, layers), 16);
    assert_eq!(offset_of!(CallArgs<'_>, flags), 32);
    assert_eq!(offset_of!(CallArgs<'_>, seed), 40);
    assert_eq!(offset_of!(CallArgs<'_>, device), 48);
    assert_eq!(offset_of!(CallArgs<'_>, stream), 56);
    assert_eq!(offset_of!(CallArgs<'_>, cancel), 64);
    assert_eq!(offset_of!(CallArgs<'_>, options_json), 72);
    assert_eq!(offset_of!(CallArgs<'_>, reserved), 88);
    assert_eq!(size_of::<FfiError>(), 72);
    assert_eq!(offset_of!(FfiError, message), 8);
    assert_eq!(offset_of!(FfiError, detail_json), 40);
    assert_eq!(size_of::<Object>(), 16);
}

#[test]
fn tables_have_their_functions_in_order() {
    assert_eq!(size_of::<ObjectVt>(), 64);
    assert_eq!(offset_of!(ObjectVt, describe), 0);
    assert_eq!(offset_of!(ObjectVt, call), 8);
    assert_eq!(offset_of!(ObjectVt, estimate), 16);
    assert_eq!(offset_of!(ObjectVt, drop), 24);
    assert_eq!(offset_of!(ObjectVt, vjp), 32);
    assert_eq!(offset_of!(ObjectVt, param_names), 40);
    assert_eq!(offset_of!(ObjectVt, get_param), 48);
    assert_eq!(offset_of!(ObjectVt, set_param), 56);
    assert_eq!(size_of::<PluginRoot>(), 40);
    assert_eq!(offset_of!(PluginRoot, manifest), 8);
    assert_eq!(offset_of!(PluginRoot, init), 16);
    assert_eq!(offset_of!(PluginRoot, inspect), 24);
    assert_eq!(offset_of!(PluginRoot, open), 32);
    assert_eq!(size_of::<HostServices>(), 48);
    assert_eq!(offset_of!(HostServices, alloc_hint), 32);
    assert_eq!(offset_of!(HostServices, step), 40);
    assert_eq!(offset_of!(Entry, abi_revision), 8);
    assert_eq!(offset_of!(Entry, header), 16);
}

#[test]
fn the_version_of_the_wire_is_its_own() {
    assert_eq!((ABI_REVISION, env!("CARGO_PKG_VERSION")), (1, "1.0.2"));
}
