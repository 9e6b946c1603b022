-- Where links to the results of a key's owner lead: to the service or to the storage; null: as the settings have it.

ALTER TABLE api_keys ADD COLUMN result_links TEXT CHECK (result_links IN ('service', 'storage'));
