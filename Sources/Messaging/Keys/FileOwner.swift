import Glibc

/// Who is to own what a program writes for the daemon while root runs it.
struct FileOwner {
  let user: uid_t
  let group: gid_t

  /// The owner of `path`; `nil` unless this is root, who alone may give files away.
  init?(of path: String) {
    var information = stat()
    guard geteuid() == 0, stat(path, &information) == 0 else { return nil }
    user = information.st_uid
    group = information.st_gid
  }

  func take(_ descriptor: Int32) -> Bool { fchown(descriptor, user, group) == 0 }
}
