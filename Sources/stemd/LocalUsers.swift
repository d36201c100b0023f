import Foundation
import JobQueue

/// The names of this machine's users, looked up once each.
struct LocalUsers {
  private var names: [uid_t: String] = [:]

  mutating func name(of user: uid_t?) -> String {
    guard let user else { return "user:unknown" }
    if let name = names[user] { return name }
    let name = ClientName.user(user)
    names[user] = name
    return name
  }
}
