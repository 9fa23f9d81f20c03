"""All the SQL: tables, engine, one repository per noun."""
