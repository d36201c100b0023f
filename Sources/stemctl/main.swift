import Foundation
import Tensor
import VideoFile

// `edit` reads and writes videos through processes of their own, too: it starts itself for them.
let arguments = Array(CommandLine.arguments.dropFirst())
if let command = arguments.first, VideoChild.commands.contains(command) {
  exit(VideoChild.run(arguments: arguments))
}
Parallel.waitPatiently()
Stemctl.main()
