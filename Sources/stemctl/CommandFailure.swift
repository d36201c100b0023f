import Journal

/// Why a command ends without success, as the one sentence that the user gets to see.
struct CommandFailure: Error, Equatable, CustomStringConvertible {
  let description: String

  /// - Parameter description: May quote file names and other people's text.
  init(_ description: String) {
    self.description = description.escapingControlCharacters()
  }
}
