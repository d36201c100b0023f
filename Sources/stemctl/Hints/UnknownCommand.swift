import ArgumentParser
import JobQueue

/// What to say of a command that does not exist, of `command`'s own or below them; `nil` where the
/// arguments are not wrong in that way.
func unknownCommand(
  in arguments: ArraySlice<String>, of command: any ParsableCommand.Type = Stemctl.self
) -> ValidationError? {
  let subcommands = command.configuration.subcommands
  guard let given = arguments.first, !given.hasPrefix("-"), !subcommands.isEmpty else {
    return nil
  }
  if let found = subcommands.first(where: { $0._commandName == given }) {
    return unknownCommand(in: arguments.dropFirst(), of: found)
  }
  let isRoot = command == Stemctl.self
  let names = subcommands.map { $0._commandName } + (isRoot ? ["help"] : [])
  guard !names.contains(given) else { return nil }
  let program = isRoot ? "stemctl" : "stemctl \(command._commandName)"
  let hint =
    nearestName(to: given, among: names).map { "did you mean '\($0)'?" }
    ?? "'\(program) --help' lists them."
  return ValidationError("'\(displayName(given))' is no command of \(program): \(hint)")
}
