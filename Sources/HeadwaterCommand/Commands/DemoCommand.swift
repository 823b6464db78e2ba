import ArgumentParser

struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "Show the main job on real data, end to end.",
    discussion: """
      Imports the ISO codes of countries, subdivisions, languages, scripts and currencies (of the package \
      iso-codes, which must be installed) as signed operations, mirrors them into SQLite while the import \
      runs, kills the mirror half way and resumes it, lets two authors edit at once in two replicas, asks the \
      mirror three questions in SQL, and compares it with the store row by row. Takes seconds; exit code 1 if \
      anything does not hold.

      Example: headwater demo --keep atlas
      """)

  @Option(
    help: ArgumentHelp(
      "Keep everything in this folder, which is made; otherwise it is temporary.",
      valueName: "folder"))
  var keep: String?

  func run() async throws {
    if let keep {
      guard mkdir(keep, 0o755) == 0 else {
        throw Failure("permission", "cannot make \(keep): \(Host.systemError())")
      }
      let folder = InputFile.absolutePath(keep)
      try await Demonstration(folder: folder).run()
      return try Output.standard.print(
        "\nEverything is in \(folder). Try: HEADWATER_HOME=\(folder) headwater log \(folder)/atlas.store "
          + "Country CH")
    }
    let folder = try TemporaryFolder()
    try await Demonstration(folder: folder.path).run()
  }
}

/// A folder that goes when it is released, with what is in it.
final class TemporaryFolder {
  let path: String

  init() throws {
    let parent = Host.variable("TMPDIR") ?? "/tmp"
    var template = Array("\(parent)/headwater-demo-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw Failure("permission", "cannot make a folder in \(parent): \(Host.systemError())")
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { TemporaryFolder.remove(path) }

  private static func remove(_ path: String) {
    guard let folder = opendir(path) else { return }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    closedir(folder)
    for name in names {
      let child = path + "/" + name
      if unlink(child) != 0 { remove(child) }
    }
    rmdir(path)
  }
}
