/// What is wrong with a model, as a sentence that names the file and the option, and says
/// what is supported.
public struct ModelError: Error, CustomStringConvertible, Sendable {
  public let description: String
  public init(_ description: String) { self.description = description }
}
