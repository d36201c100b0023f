import Foundation
import VideoFile

let arguments = Array(CommandLine.arguments.dropFirst())
if let command = arguments.first, VideoChild.commands.contains(command) { exit(VideoChild.run(arguments: arguments)) }

print("not yet")
