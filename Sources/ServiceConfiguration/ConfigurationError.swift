/// What is wrong with a setting, in one sentence: where it stands, and what it takes.
public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}
