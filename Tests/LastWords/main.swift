import Journal
import Logging

let stray = StrayOutput()
bootstrapLogging(program: "last-words", standardError: stray.standardError)
let logger = Logger(label: "last-words")
stray.divert { logger.notice("\($0)", metadata: ["job": "j1"]) }
print("a library's chatter")
fatalError("and its end")
