/// The schema of the example, as `Examples/Atlas/atlas.schema` has it: an installed tool has no examples beside it.
/// A test compares the two.
enum AtlasSchema {
  static let text = """
    schema Atlas

    allow everything

    /// How many languages a code of ISO 639-3 stands for.
    enum Scope { individual, macrolanguage, special }

    /// Whether a language is spoken, and if not, since when.
    enum Vitality { living, extinct, ancient, historical, constructed, special }

    /// A country or territory of ISO 3166-1.
    collection Country {
      /// Two letters, such as `AW`.
      code: Text(2)            @key
      /// Three letters, such as `ABW`.
      alpha3: Text(3)          @index
      /// Three digits, such as `533`; a text, because zeros may lead.
      numeric: Text(3)
      name: Text(100)          @index
      officialName: Text(200)?
      /// What the country is called in everyday speech, where that differs.
      commonName: Text(100)?
      flag: Text(4)?
    }

    /// A part of a country, of ISO 3166-2.
    collection Subdivision {
      /// The country's code, a hyphen, and up to three letters or digits, such as `FR-75`.
      code: Text(8)            @key
      country: Country         @readonly @onDelete(cascade)
      /// The part that this part belongs to.
      parent: Subdivision?     @onDelete(null)
      name: Text(200)          @index
      /// What such a part is called there: province, district, parish, …
      kind: Text(80)           @index
    }

    /// A family or group of languages, of ISO 639-5.
    collection LanguageFamily {
      /// Three letters, such as `aav`.
      code: Text(3)            @key
      name: Text(200)
    }

    /// A language of ISO 639-3.
    collection Language {
      /// Three letters, such as `ces`.
      code: Text(3)            @key
      /// Two letters of ISO 639-1, such as `cs`.
      alpha2: Text(2)?         @index
      /// The other code of three letters that ISO 639-2 has for libraries, such as `cze`.
      bibliographic: Text(3)?
      name: Text(200)          @index
      /// The name as an index of a book has it, such as `Albanian, Arbëreshë`.
      invertedName: Text(200)?
      commonName: Text(200)?
      scope: Scope
      vitality: Vitality       @index
    }

    /// A writing system of ISO 15924.
    collection Script {
      /// Four letters, such as `Latn`.
      code: Text(4)            @key
      numeric: Text(3)
      name: Text(200)
    }

    /// A currency or fund of ISO 4217.
    collection Currency {
      /// Three letters, such as `CHF`.
      code: Text(3)            @key
      numeric: Text(3)
      name: Text(200)
      /// The country whose code the currency's begins with, if there is one.
      country: Country?        @onDelete(null)
    }

    /// A country that ISO 3166-1 had once, of ISO 3166-3.
    collection FormerCountry {
      /// Four letters, such as `YUCS`.
      code: Text(4)            @key
      alpha2: Text(2)
      alpha3: Text(3)
      numeric: Text(3)?
      name: Text(200)
      comment: Text(500)?
      /// The year in which the code was withdrawn.
      withdrawnIn: Int         @check(withdrawnIn >= 1974)
      /// The day, where it is known.
      withdrawnOn: Date?
    }

    """
}
