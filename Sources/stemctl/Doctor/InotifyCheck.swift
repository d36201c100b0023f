import Foundation

/// Whether the system can tell of new clips.
struct InotifyCheck: Check {
  let topic = "inotify"

  func findings() -> [Finding] {
    func limit(_ name: String) -> Int? {
      (try? String(contentsOfFile: "/proc/sys/fs/inotify/\(name)", encoding: .utf8)).flatMap {
        Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
      }
    }
    let (instances, watches) = (limit("max_user_instances"), limit("max_user_watches"))
    let limits =
      "fs.inotify.max_user_instances \(instances.map(String.init) ?? "?"), max_user_watches \(watches.map(String.init) ?? "?")"
    func raise(_ setting: String, to value: Int) -> String {
      "sysctl -w \(setting)=\(value), and for later starts the same line in /etc/sysctl.d/stemd.conf"
    }
    let descriptor = inotify_init1(Int32(IN_CLOEXEC))
    guard descriptor >= 0 else {
      return [
        .warning(
          "this user has no inotify instance left (\(limits)): inboxes are looked through every two seconds instead",
          fix: raise("fs.inotify.max_user_instances", to: max(512, 2 * (instances ?? 0))))
      ]
    }
    defer { close(descriptor) }
    guard inotify_add_watch(descriptor, "/", UInt32(IN_CREATE)) >= 0 else {
      return [
        .warning(
          "this user has no inotify watch left (\(limits)): inboxes are looked through every two seconds instead",
          fix: raise("fs.inotify.max_user_watches", to: max(65536, 2 * (watches ?? 0))))
      ]
    }
    return [.ok("new clips can be noticed at once: \(limits)")]
  }
}
