import EditSettings
import Foundation
import GRDB

/// How the store's tables came to be what they are, version by version; one that was released never
/// changes.
enum JobStoreMigrations {
  static var all: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("jobs", migrate: createJobs)
    migrator.registerMigration("clients", migrate: addClients)
    migrator.registerMigration("places") { database in
      try database.alter(table: "job") { $0.add(column: "stoppedAt", .text) }
    }
    return migrator
  }

  static func createJobs(_ database: Database) throws {
    try database.create(table: "job") { table in
      table.primaryKey("id", .text)
      table.column("clip", .text).notNull().indexed()
      table.column("clipStem", .text).notNull().indexed()
      table.column("name", .text).notNull()
      table.column("sourceName", .text).notNull()
      table.column("inboxName", .text).notNull()
      table.column("sidecarName", .text)
      table.column("state", .text).notNull()
      table.column("settings", .text)
      table.column("attempts", .integer).notNull()
      table.column("failures", .integer).notNull()
      table.column("cancelRequested", .boolean).notNull()
      table.column("submitted", .datetime).notNull()
      table.column("started", .datetime)
      table.column("finished", .datetime)
      table.column("worker", .text)
      table.column("error", .text)
      table.column("outboxName", .text)
      table.column("figures", .text)
      table.column("clipIdentity", .text).notNull()
      table.column("sidecarIdentity", .text)
    }
    try database.create(index: "jobByState", on: "job", columns: ["state", "id"])
  }

  /// Clients, their keys and turns; settings under the names that a sidecar has for them.
  private static func addClients(_ database: Database) throws {
    try database.alter(table: "job") { table in
      table.add(column: "client", .text).notNull().defaults(to: "")
      table.add(column: "key", .text)
      table.add(column: "priority", .integer).notNull().defaults(to: 0)
      table.add(column: "isQuarantined", .boolean).notNull().defaults(to: false)
      table.add(column: "retryOf", .text)
      table.add(column: "interruptions", .integer).notNull().defaults(to: 0)
      table.add(column: "ranSeconds", .double).notNull().defaults(to: 0)
    }
    for row in try Row.fetchAll(database, sql: "SELECT id, settings FROM job") {
      guard let settings: String = row["settings"],
        let old = try? JSONDecoder().decode(EditSettings.self, from: Data(settings.utf8))
      else { continue }
      try database.execute(
        sql: "UPDATE job SET settings = ? WHERE id = ?",
        arguments: [try SettingsFields(old).json, row["id"] as String])
    }
    try database.create(
      index: "jobByTurn", on: "job", columns: ["state", "priority", "client", "id"])
    try database.create(
      index: "jobByKey", on: "job", columns: ["client", "key"], unique: true,
      condition: Column("key") != nil)
    try database.create(table: "daemon") { table in
      table.primaryKey("name", .text)
      table.column("value", .text).notNull()
    }
  }
}
