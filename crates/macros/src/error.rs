use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Ident, LitStr, Result, Token,
    parse::{Parse, ParseStream},
};

/// What `#[domain(…)]` says of a variant.
enum Said {
    Transparent,
    This { kind: Ident, code: LitStr, has_fields: bool },
}

impl Parse for Said {
    fn parse(input: ParseStream) -> Result<Self> {
        let kind: Ident = input.parse()?;
        if kind == "transparent" {
            return Ok(Self::Transparent);
        }
        input.parse::<Token![,]>()?;
        let code = input.parse()?;
        let has_fields = if input.is_empty() {
            false
        } else {
            input.parse::<Token![,]>()?;
            let word: Ident = input.parse()?;
            if word != "fields" {
                return Err(Error::new_spanned(word, "the third word is `fields`"));
            }
            true
        };
        Ok(Self::This { kind, code, has_fields })
    }
}

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(input, "a context's error is an enum"));
    };
    let (mut kinds, mut codes, mut fields, mut pauses) = (vec![], vec![], vec![], vec![]);
    for variant in &data.variants {
        let name = &variant.ident;
        match said(&variant.attrs).ok_or_else(|| Error::new_spanned(name, "no #[domain(…)]"))?? {
            Said::Transparent => {
                kinds.push(quote!(Self::#name(error) => ::kernel::DomainError::kind(error)));
                codes.push(quote!(Self::#name(error) => ::kernel::DomainError::code(error)));
                fields.push(quote!(Self::#name(error) => ::kernel::DomainError::fields(error)));
                pauses
                    .push(quote!(Self::#name(error) => ::kernel::DomainError::retry_after(error)));
            }
            Said::This { kind, code, has_fields } => {
                kinds.push(quote!(Self::#name { .. } => ::kernel::ErrorKind::#kind));
                codes.push(quote!(Self::#name { .. } => #code));
                if has_fields {
                    // In a variant of several the fields have that name.
                    let named = variant.fields.iter().any(|field| field.ident.is_some());
                    fields.push(if named {
                        quote!(Self::#name { fields, .. } => fields)
                    } else {
                        quote!(Self::#name(fields) => fields)
                    });
                }
            }
        }
    }
    let name = &input.ident;
    Ok(quote! {
        impl ::kernel::DomainError for #name {
            fn kind(&self) -> ::kernel::ErrorKind {
                match self { #(#kinds,)* }
            }

            fn code(&self) -> &str {
                match self { #(#codes,)* }
            }

            #[allow(unreachable_patterns)]
            fn fields(&self) -> &[::kernel::FieldError] {
                match self { #(#fields,)* _ => &[] }
            }

            #[allow(unreachable_patterns)]
            fn retry_after(&self) -> Option<u64> {
                match self { #(#pauses,)* _ => None }
            }
        }
    })
}

fn said(attributes: &[Attribute]) -> Option<Result<Said>> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("domain"))?;
    Some(attribute.parse_args())
}
