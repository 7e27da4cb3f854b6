//! The kinds of text, with the length of each. A length stands here and nowhere
//! else; where the next hop sets it, the comment says which.

use super::{Notation, Rule, Shape, TextKind};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $shape:ident$(($notation:ident))?, $least:literal, $most:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $kind;

            impl TextKind for $kind {
                const RULE: Rule = Rule { shape: Shape::$shape$((Notation::$notation))?, least: $least, most: $most };
            }
        )*

        /// Every kind by its name, for tests and documents.
        pub const KINDS: &[(&str, Rule)] = &[$((stringify!($kind), $kind::RULE)),*];
    };
}

kinds! {
    /// A given or family name; prescriptions carry 70 characters.
    PersonName: Name, 1, 70;
    /// The street of an address; prescriptions carry 40 characters.
    AddressLine: Line, 1, 40;
    /// The second line of an address, which may be empty.
    AddressLine2: Line, 0, 40;
    /// The city of an address; prescriptions carry 35 characters.
    City: Line, 1, 35;
    /// The name of a pharmacy; prescriptions carry 70 characters.
    PharmacyName: Line, 1, 70;
    /// The directions to the patient, in one line: a receiver that drops a line
    /// break would join two numbers. Prescriptions carry 1,000 characters.
    Sig: Line, 1, 1000;
    /// The name of a drug with strength and form; prescriptions carry 105
    /// characters.
    DrugDescription: Line, 1, 105;
    /// The strength of one unit of a drug.
    Strength: Line, 0, 60;
    /// A unit of UCUM.
    UnitOfMeasure: Line, 1, 20;
    /// The name of a drug that a plan sells.
    DrugName: Line, 1, 200;
    /// Where a rule or a limit is written.
    Reference: Line, 1, 500;
    /// What a pharmacist has to look up.
    ToConfirm: Line, 1, 1000;
    /// The number that a manufacturer gives to a lot.
    LotNumber: Line, 1, 40;
    /// The words for a coded value.
    CodeDisplay: Line, 1, 200;
    /// What a patient says of a reaction or a dosage.
    PatientWords: Paragraph, 1, 500;
    /// Why somebody does what is normally not done.
    GraveReason: Paragraph, 10, 1000;
    /// When, where and how provider and patient met.
    MeetingReport: Paragraph, 10, 500;
    /// Why a treatment plan is as it is.
    PlanReason: Paragraph, 1, 1000;
    /// Why an alert is overridden; it may be empty.
    OverrideNote: Paragraph, 0, 1000;
    /// A provider's note for the chart, which may be empty.
    ChartNote: Paragraph, 0, 4000;
    /// A question to a patient, or the answer.
    Inquiry: Paragraph, 1, 4000;
    /// The notes of a consultation.
    ConsultationNotes: Document, 1, 20000;
    /// The id of a rule, or the word for its reason.
    RuleWord: Line, 1, 64;
    /// What a rule is for; it may be empty.
    RuleDescription: Paragraph, 0, 500;
    /// What a patient reads of a rule.
    RuleReason: Paragraph, 1, 500;
    /// Why a set of rules is changed; it may be empty.
    RuleSetNote: Paragraph, 0, 500;
    /// How a billing task or an unread notice was settled.
    SettlementNote: Paragraph, 3, 4000;
    /// The body of a message.
    MessageText: Document, 1, 10000;
    /// The name of a category or plan.
    CatalogName: Line, 1, 120;
    /// The description of a category or plan.
    CatalogDescription: Paragraph, 1, 2000;
    /// The name of a plan's feature.
    FeatureLabel: Line, 1, 200;
    /// The label of a row in a comparison of plans.
    RowLabel: Line, 1, 100;
    /// The value of a row in a comparison of plans.
    RowValue: Line, 1, 200;
    /// What a feature flag is for.
    FlagDescription: Paragraph, 1, 500;
    /// The title of an article.
    ArticleTitle: Line, 1, 200;
    /// What everybody reads of an article.
    ArticleSummary: Paragraph, 1, 500;
    /// An article, in Markdown.
    ArticleBody: Document, 1, 50000;
    /// The name of a client of the interface.
    ClientName: Line, 1, 200;
    /// The name that a person tells a passkey by.
    PasskeyName: Line, 1, 60;
    /// The name of a client's key.
    KeyName: Line, 1, 200;
    /// The version of the terms that somebody agreed to.
    TermsVersion: Line, 1, 64;
    /// The title of a form; a draft may still lack it.
    FormTitle: Line, 0, 200;
    /// What a form is for.
    FormDescription: Paragraph, 0, 2000;
    /// What a form says: a question, its help, a consent. A draft may still
    /// lack it.
    FormText: Document, 0, 20000;
    /// A short word of a form: a choice, a label, a unit.
    FormLabel: Line, 0, 1000;
    /// The code of a currency.
    CurrencyCode: Coded(Currency), 3, 3;
    /// A registration with the DEA.
    DeaNumber: Coded(Dea), 9, 9;
    /// An e-mail address.
    Email: Coded(Email), 3, 320;
    /// The ICD-10-CM code of what is treated.
    DiagnosisCode: Coded(Icd10), 3, 8;
    /// The number that NCPDP gives to a pharmacy.
    NcpdpNumber: Coded(NcpdpId), 7, 7;
    /// The NDC of a package.
    PackageCode: Coded(Ndc), 11, 14;
    /// A National Provider Identifier.
    NpiNumber: Coded(Npi), 10, 10;
    /// A telephone number.
    Phone: Coded(Phone), 8, 30;
    /// The RxNorm concept of a drug.
    DrugCode: Coded(RxNorm), 1, 8;
    /// The name of a time zone.
    TimeZone: Coded(TimeZone), 1, 64;
    /// The postal code of a state.
    StateCode: Coded(UsState), 2, 2;
    /// The ZIP code of an address.
    ZipCode: Coded(UsZip), 5, 10;
}
