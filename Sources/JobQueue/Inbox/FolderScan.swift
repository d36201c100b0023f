import Glibc

/// All that lies in a folder at one time. It opens the folder and no file.
struct FolderScan {
  struct File {
    /// Bytes, since a name need not be UTF-8.
    var name: [UInt8]
    /// `nil` where the system does not say.
    var status: FileStatus?
  }

  /// In no order, without names that begin with a dot.
  private(set) var files: [File] = []
  let folder: FileStatus
  let fileSystem: FileSystemKind

  /// - Throws: `FileError`, also where the list breaks off: what is missing then may be there.
  init(of path: String) throws(FileError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("look through", path) }
    guard let stream = fdopendir(descriptor) else {
      let code = errno
      close(descriptor)
      throw FileError("look through", path, code: code)
    }
    defer { closedir(stream) }
    var raw = stat()
    guard fstat(descriptor, &raw) == 0 else { throw FileError("look through", path) }
    folder = FileStatus(raw)
    fileSystem = FileSystemKind(of: descriptor)
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        guard errno == 0 else { throw FileError("look through", path) }
        return
      }
      withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { name in
          guard name[0] != 0x2e else { return }
          let known = fstatat(descriptor, name, &raw, AT_SYMLINK_NOFOLLOW) == 0
          let bytes = UnsafeRawBufferPointer(start: name, count: strlen(name))
          files.append(File(name: Array(bytes), status: known ? FileStatus(raw) : nil))
        }
      }
    }
  }
}
