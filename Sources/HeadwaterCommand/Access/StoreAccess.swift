import ArgumentParser
import Headwater

/// Where keys are kept.
struct KeysOption: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The folder of the keys.",
      discussion: "Otherwise $HEADWATER_HOME/keys, or headwater/keys below the folder of settings.",
      valueName: "folder"))
  var keys: String?

  func store() throws -> KeyStore {
    guard let directory = keys ?? KeyStore.defaultDirectory() else {
      throw Failure(
        "missing", "where are the keys? Set HOME or HEADWATER_HOME, or give --keys FOLDER")
    }
    return KeyStore(directory: directory)
  }
}

/// Who signs.
struct SignerOptions: ParsableArguments {
  @Option(name: .customLong("as"), help: ArgumentHelp("The key that signs.", valueName: "name"))
  var name: String

  @OptionGroup var keys: KeysOption
  @OptionGroup var passphrase: PassphraseOptions

  /// The key, opened.
  func signer() throws -> SigningKey {
    let store = try keys.store()
    guard try store.describe(name).isEncrypted else { return try store.open(name) }
    return try store.open(name, passphrase: try passphrase.existing(name))
  }
}

/// How results are printed.
struct OutputOptions: ParsableArguments {
  @Flag(name: .long, help: "Print JSON, one value a line.")
  var json = false
}

extension Snapshot {
  /// The index of the collection called `name`.
  func collectionIndex(_ name: String) throws -> Int { try schema.requireCollection(name) }

  /// The operations that a list such as `3f9a,77c1` names, by unique beginnings of their ids.
  func operations(_ list: String, option: String = "--at") throws -> [Digest] {
    let names = list.split(separator: ",", omittingEmptySubsequences: false)
    return try names.map { name in
      guard !name.isEmpty, name.utf8.count <= 64,
        name.utf8.allSatisfy({ byte in
          byte >= 0x30 && byte <= 0x39 || byte >= 0x61 && byte <= 0x66
            || byte >= 0x41 && byte <= 0x46
        })
      else {
        throw Failure(
          "invalid",
          "\(option) takes ids of operations, or beginnings of them, with commas between: not '\(list)'"
        )
      }
      return try operation(withPrefix: name.lowercased())
    }
  }
}

extension Schema {
  /// The index of the collection called `name`; throws with the names there are.
  func requireCollection(_ name: String) throws -> Int {
    if let index = collectionIndex(named: name) { return index }
    let names = collections.map(\.name).joined(separator: ", ")
    throw Failure("invalid", "the schema has no collection \(name); it has \(names)")
  }

  /// The key that a user typed: the text of a key with one field, or JSON.
  func key(typed text: String, of collection: CollectionType) throws -> Key {
    if text.utf8.first == UInt8(ascii: "{"), let raw = try? RawJSON(text: text) {
      return try key(from: raw, of: collection)
    }
    guard collection.keyFields.count == 1 else {
      let names = collection.keyFields.map { "\"\(collection.fields[$0].name)\":…" }
      throw Failure(
        "invalid",
        "the key of \(collection.name) has several fields: write it as JSON, "
          + "{\(names.joined(separator: ","))}")
    }
    let field = collection.fields[collection.keyFields[0]]
    guard let value = try value(fromCell: text, for: field) else {
      throw Failure("invalid", "an empty key of \(collection.name)")
    }
    return Key([value])
  }
}
