/// Why a request is refused: one sentence for a person, and a code for a program.
public struct Refusal: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Code: String, Codable, Sendable {
    case version, malformed, unknown, settings
    case notFound = "not_found"
    case state, limit, forbidden, draining, offset, unavailable
  }

  public var code: Code
  public var description: String
  /// The name of the limit that was exceeded.
  public var limit: String?
  /// Of an upload whose chunk was not the next one: how many bytes there are.
  public var received: Int?

  public init(
    _ code: Code, _ description: String, limit: String? = nil, received: Int? = nil
  ) {
    (self.code, self.description, self.limit, self.received) = (code, description, limit, received)
  }

  /// What an error of the spool means to a client.
  init(_ error: any Error) {
    switch error {
    case let refusal as Refusal: self = refusal
    case let error as SidecarError: self.init(.settings, error.description)
    default: self.init(.unavailable, "\(error)")
    }
  }
}
