"""The methods of our portal, a file for each family. Each has `METHODS`, which `edges.bitrix24.table` joins."""
