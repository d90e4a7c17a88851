"""What people already have, as our configuration: an exported Entra schema, an Okta mapping table, a table of roles."""
