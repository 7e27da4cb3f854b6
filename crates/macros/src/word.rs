use heck::ToSnakeCase as _;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, LitStr, Result};

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(input, "a word is an enum"));
    };
    let name = &input.ident;
    let (mut variants, mut words) = (Vec::new(), Vec::new());
    for variant in &data.variants {
        if !variant.fields.is_empty() {
            return Err(Error::new_spanned(variant, "a word has no fields"));
        }
        variants.push(&variant.ident);
        words.push(
            given(&variant.attrs)?.unwrap_or_else(|| variant.ident.to_string().to_snake_case()),
        );
    }
    let wire = given(&input.attrs)?.unwrap_or_else(|| name.to_string());
    let docs = crate::docs(&input.attrs);
    Ok(quote! {
        impl #name {
            /// Every value, in the order of the variants.
            pub const ALL: &'static [Self] = &[#(Self::#variants),*];
            pub const WORDS: &'static [&'static str] = &[#(#words),*];

            pub const fn word(self) -> &'static str {
                match self {
                    #(Self::#variants => #words,)*
                }
            }
        }

        impl ::core::fmt::Display for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.word())
            }
        }

        impl From<#name> for &'static str {
            fn from(word: #name) -> Self {
                word.word()
            }
        }

        impl From<&#name> for &'static str {
            fn from(word: &#name) -> Self {
                word.word()
            }
        }

        impl From<#name> for String {
            fn from(word: #name) -> Self {
                word.word().to_owned()
            }
        }

        impl ::core::str::FromStr for #name {
            type Err = ::kernel::UnknownWord;

            fn from_str(text: &str) -> ::core::result::Result<Self, ::kernel::UnknownWord> {
                match text {
                    #(#words => Ok(Self::#variants),)*
                    _ => Err(::kernel::UnknownWord),
                }
            }
        }

        ::kernel::word_in_rows!(#name);
        ::kernel::word_on_the_wire!(#name, #wire, #docs);
    })
}

/// The text of `#[word("…")]`.
fn given(attributes: &[Attribute]) -> Result<Option<String>> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("word"));
    attribute.map(|attribute| Ok(attribute.parse_args::<LitStr>()?.value())).transpose()
}
