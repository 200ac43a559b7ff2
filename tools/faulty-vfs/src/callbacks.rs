//! The functions SQLite calls, and the only unsafe code: they turn pointers into values and pass them to the [`Machine`].
//!
//! All of them may rely on SQLite's guarantees for a VFS (<https://www.sqlite.org/c3ref/vfs.html>, `io_methods.html`), which the
//! comments on unsafe blocks call by these names:
//!
//! * **VFS**: the first argument of a function of the VFS is the structure that was registered; [`register`] put a machine
//!   into it that is never freed.
//! * **FILE**: the first argument of a function of a file is memory that [`open`] has filled in; it is not moved,
//!   changed or freed by others before [`close`] has returned.
//! * **NAME**: a file name is null, or ends with a zero byte and stays unchanged during the call.
//! * **RESULT**: a pointer to a place for a result is valid for writing it.
//! * **BUFFER**: bytes to be read or written are valid for as many bytes as the call says, during the call, and no other code uses
//!   them then.
//! * **DEFAULT**: the default VFS stays registered, its functions do not change, and each may be called as the one of ours
//!   that was, with the same arguments behind the first.
//!
//! A panic in one of these functions ends the process, as Rust defines for `extern "C"`: it never unwinds into SQLite.

#![expect(unsafe_code, reason = "SQLite is C")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ops::Range;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Mutex, MutexGuard};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use crate::locks::Level;
use crate::machine::{FileId, Machine, SqliteResult};
use crate::vfs::lock;
use crate::wal_index::{LockMode, REGION_BYTES};

/// Longest file name, with its zero byte.
const NAME_BYTES_MAX: usize = 1024;

/// SQLite's view of an open file. SQLite allocates its memory, `szOsFile` bytes.
#[repr(C)]
#[derive(Clone, Copy)]
struct FileHandle {
    base: sqlite3_file,
    machine: &'static Mutex<Machine>,
    id: FileId,
}

/// Version 2: with shared memory, without memory-mapped files.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_file),
    xUnlock: Some(unlock_file),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Registers the machine with SQLite, and returns the unique name it is registered under.
///
/// Connections hold bare pointers to their VFS, and SQLite does not report when the last one is closed, so it stays registered for
/// ever.
pub(crate) fn register(machine: &'static Mutex<Machine>) -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let name = format!("faulty-vfs-{}", LAST.fetch_add(1, Ordering::Relaxed) + 1);
    let c_name = CString::new(name.clone()).expect("there is no zero byte in it");
    let vfs = Box::leak(Box::new(sqlite3_vfs {
        iVersion: 2,
        szOsFile: length(size_of::<FileHandle>()),
        mxPathname: length(NAME_BYTES_MAX),
        pNext: ptr::null_mut(),
        zName: c_name.into_raw(),
        pAppData: ptr::from_ref(machine).cast_mut().cast(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: Some(dl_open),
        xDlError: Some(dl_error),
        // Only called with a result of `xDlOpen`, which never returns one.
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: None,
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }));
    // SAFETY: the structure and the values behind its pointers are valid, were leaked just now, and are not accessed here any
    // more, so SQLite may link the structure into its list and keep it forever.
    let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
    assert_eq!(code, ffi::SQLITE_OK, "SQLite is out of memory");
    name
}

// Functions of the VFS.

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite allocates `szOsFile` bytes, aligned for any structure. A file without methods counts as not open.
    unsafe { file.write(sqlite3_file { pMethods: ptr::null() }) };
    // SAFETY: VFS.
    let machine = unsafe { machine_of(vfs) };
    // SAFETY: NAME.
    let name = unsafe { text(name) };
    match lock(machine).open(name.as_deref(), flags) {
        Ok(id) => {
            let opened = FileHandle { base: sqlite3_file { pMethods: &raw const METHODS }, machine, id };
            // SAFETY: as above; `szOsFile` is the size of a `FileHandle`.
            unsafe { file.cast::<FileHandle>().write(opened) };
            if !out_flags.is_null() {
                // SAFETY: RESULT; it may be null, but is not.
                unsafe { out_flags.write(flags) };
            }
            ffi::SQLITE_OK
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: VFS.
    let machine = unsafe { machine_of(vfs) };
    // SAFETY: NAME.
    let Some(name) = (unsafe { text(name) }) else { return ffi::SQLITE_IOERR_DELETE_NOENT };
    code(lock(machine).delete(&name, sync_dir != 0))
}

unsafe extern "C" fn access(vfs: *mut sqlite3_vfs, name: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: VFS.
    let machine = unsafe { machine_of(vfs) };
    // SAFETY: NAME.
    let name = unsafe { text(name) }.unwrap_or_default();
    let answer = lock(machine).access(&name, flags).map(c_int::from);
    // SAFETY: RESULT.
    unsafe { put(answer, out) }
}

/// There is one folder, so a name is a path.
unsafe extern "C" fn full_pathname(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    out_bytes: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: NAME; and a path that is asked for is not null.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if name.len() > index(out_bytes) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: BUFFER, of `out_bytes`, which are enough. It does not overlap the name, which is memory of the caller.
    unsafe { out.copy_from_nonoverlapping(name.as_ptr().cast(), name.len()) };
    ffi::SQLITE_OK
}

/// This disk has no libraries.
unsafe extern "C" fn dl_open(_vfs: *mut sqlite3_vfs, _name: *const c_char) -> *mut c_void {
    ptr::null_mut()
}

/// SQLite has its own message.
unsafe extern "C" fn dl_error(_vfs: *mut sqlite3_vfs, _bytes: c_int, _message: *mut c_char) {}

// Time and randomness are those of SQLite's default VFS: real ones, since they are not part of a disk.

unsafe extern "C" fn randomness(_vfs: *mut sqlite3_vfs, bytes: c_int, out: *mut c_char) -> c_int {
    let vfs = default_vfs();
    // SAFETY: DEFAULT.
    let function = unsafe { (*vfs).xRandomness };
    // SAFETY: DEFAULT.
    function.map_or(0, |function| unsafe { function(vfs, bytes, out) })
}

unsafe extern "C" fn sleep(_vfs: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    let vfs = default_vfs();
    // SAFETY: DEFAULT.
    let function = unsafe { (*vfs).xSleep };
    // SAFETY: DEFAULT.
    function.map_or(0, |function| unsafe { function(vfs, microseconds) })
}

unsafe extern "C" fn current_time(_vfs: *mut sqlite3_vfs, out: *mut f64) -> c_int {
    let vfs = default_vfs();
    // SAFETY: DEFAULT.
    let function = unsafe { (*vfs).xCurrentTime };
    // SAFETY: DEFAULT.
    function.map_or(ffi::SQLITE_ERROR, |function| unsafe { function(vfs, out) })
}

unsafe extern "C" fn current_time_int64(_vfs: *mut sqlite3_vfs, out: *mut sqlite3_int64) -> c_int {
    let vfs = default_vfs();
    // SAFETY: DEFAULT.
    let function = unsafe { (*vfs).xCurrentTimeInt64 };
    // SAFETY: DEFAULT.
    function.map_or(ffi::SQLITE_ERROR, |function| unsafe { function(vfs, out) })
}

// Functions of files.

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    file.machine().close(file.id);
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut sqlite3_file, buffer: *mut c_void, bytes: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    let (buffer, bytes) = (buffer.cast::<u8>(), index(bytes));
    // The memory may be uninitialized, which a slice must not be.
    // SAFETY: BUFFER.
    unsafe { buffer.write_bytes(0, bytes) };
    // SAFETY: BUFFER, and it is initialized now.
    let buffer = unsafe { slice::from_raw_parts_mut(buffer, bytes) };
    match file.machine().read(file.id, place(offset), buffer) {
        Ok(true) => ffi::SQLITE_OK,
        Ok(false) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(code) => code,
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    bytes: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    // SAFETY: BUFFER, and SQLite has initialized the bytes to be written.
    let bytes = unsafe { slice::from_raw_parts(buffer.cast::<u8>(), index(bytes)) };
    code(file.machine().write(file.id, place(offset), bytes))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    code(file.machine().truncate(file.id, place(size)))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    code(file.machine().sync(file.id))
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    let answer = file.machine().size(file.id);
    let answer = answer.map(|size| sqlite3_int64::try_from(size).expect("a file in memory is small"));
    // SAFETY: RESULT.
    unsafe { put(answer, out) }
}

unsafe extern "C" fn lock_file(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    let Some(level) = Level::from_sqlite(level) else { return ffi::SQLITE_OK };
    code(file.machine().lock(file.id, level))
}

unsafe extern "C" fn unlock_file(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    file.machine().unlock(file.id, Level::from_sqlite(level));
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    let answer = file.machine().is_reserved(file.id).map(c_int::from);
    // SAFETY: RESULT.
    unsafe { put(answer, out) }
}

/// No file control applies to this disk.
unsafe extern "C" fn file_control(_file: *mut sqlite3_file, _operation: c_int, _argument: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    length(file.machine().options().sector_bytes)
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    if file.machine().options().powersafe_overwrite { ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE } else { 0 }
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    region: c_int,
    region_bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    assert!(index(region_bytes) <= REGION_BYTES, "SQLite wants regions of {region_bytes} bytes");
    let answer = file.machine().map(file.id, index(region), extend != 0);
    // SQLite uses the region until this file is unmapped or closed, and until then it is neither moved nor freed. The machine
    // itself never reads it, so none of our code races with SQLite.
    let answer = answer.map(|region| region.map_or(ptr::null_mut(), <*mut u64>::cast));
    // SAFETY: RESULT.
    unsafe { put(answer, out) }
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    let slots = Range { start: index(offset), end: index(offset + count) };
    let mode = if flags & ffi::SQLITE_SHM_EXCLUSIVE != 0 { LockMode::Exclusive } else { LockMode::Shared };
    if flags & ffi::SQLITE_SHM_LOCK != 0 {
        code(file.machine().lock_memory(file.id, slots, mode))
    } else {
        file.machine().unlock_memory(file.id, slots);
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn shm_barrier(_file: *mut sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: FILE.
    let file = unsafe { FileHandle::of(file) };
    file.machine().unmap(file.id);
    ffi::SQLITE_OK
}

// Pointers to values.

impl FileHandle {
    /// # Safety
    ///
    /// FILE.
    unsafe fn of(file: *mut sqlite3_file) -> Self {
        // SAFETY: the caller's; `open` wrote a `FileHandle` there, and it is `Copy`.
        unsafe { file.cast::<Self>().read() }
    }

    fn machine(self) -> MutexGuard<'static, Machine> {
        lock(self.machine)
    }
}

/// # Safety
///
/// VFS.
unsafe fn machine_of(vfs: *mut sqlite3_vfs) -> &'static Mutex<Machine> {
    // SAFETY: the caller's; no code writes to this field.
    let machine = unsafe { (*vfs).pAppData };
    // SAFETY: `register` created the pointer from a `'static` reference to a `Sync` value.
    unsafe { &*machine.cast::<Mutex<Machine>>() }
}

/// # Safety
///
/// NAME.
unsafe fn text(name: *const c_char) -> Option<String> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller's, and it is not null.
    let name = unsafe { CStr::from_ptr(name) };
    Some(name.to_string_lossy().into_owned())
}

/// # Safety
///
/// RESULT.
unsafe fn put<T>(answer: SqliteResult<T>, out: *mut T) -> c_int {
    match answer {
        Ok(value) => {
            // SAFETY: the caller's.
            unsafe { out.write(value) };
            ffi::SQLITE_OK
        }
        Err(code) => code,
    }
}

/// The VFS that reaches the real machine.
fn default_vfs() -> *mut sqlite3_vfs {
    // SAFETY: SQLite is initialized, or it would not have called us; null asks for the default.
    let vfs = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    assert!(!vfs.is_null(), "SQLite has a default VFS");
    vfs
}

fn code(answer: SqliteResult) -> c_int {
    answer.err().unwrap_or(ffi::SQLITE_OK)
}

fn index(number: c_int) -> usize {
    usize::try_from(number).expect("SQLite counts from zero")
}

fn place(offset: sqlite3_int64) -> usize {
    usize::try_from(offset).expect("offsets are not negative, and files in memory are small")
}

fn length(number: usize) -> c_int {
    c_int::try_from(number).expect("sizes given to SQLite are small")
}
