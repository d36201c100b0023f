import Foundation
import Tensor
import VideoFile

// Whoever opens a stranger's video is a process of its own that has loaded nothing else: it never
// reaches the command below.
let arguments = Array(CommandLine.arguments.dropFirst())
if let command = arguments.first, VideoChild.commands.contains(command) {
  exit(VideoChild.run(arguments: arguments))
}
Parallel.waitPatiently()
StemWorker.main()
