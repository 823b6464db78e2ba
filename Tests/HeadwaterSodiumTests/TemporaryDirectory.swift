import Foundation

/// A directory of its own for one test, removed with it.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "headwater-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The permission bits of a file in it.
  func mode(_ name: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path + "/" + name)
    return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? -1
  }

  func setMode(_ mode: Int, of name: String) throws {
    try FileManager.default.setAttributes(
      [.posixPermissions: mode], ofItemAtPath: path + "/" + name)
  }

  func write(_ bytes: some Collection<UInt8>, to name: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path + "/" + name))
    try setMode(0o600, of: name)
  }

  func contents(of name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)))
  }

  func names(_ subdirectory: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path + "/" + subdirectory).sorted()
  }
}
