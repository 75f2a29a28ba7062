"""FHIR's GraphQL: a query as the tree of its results, over the compiled search. https://hl7.org/fhir/R4/graphql.html"""
