/// Why a request to edit cannot be understood: one sentence that names the key and says what it
/// takes.
public struct SidecarError: Error, Equatable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
