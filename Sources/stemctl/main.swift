import Foundation
import Tensor
import VideoFile

// `edit` reads and writes videos through processes of their own, too: it starts itself for them.
let arguments = Array(CommandLine.arguments.dropFirst())
if let command = arguments.first, VideoChild.commands.contains(command) {
  exit(VideoChild.run(arguments: arguments))
}
if let mistake = unknownCommand(in: arguments[...]) { Stemctl.exit(withError: mistake) }
Parallel.waitPatiently()
Stemctl.main()
