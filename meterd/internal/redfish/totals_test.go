package redfish

// totals are services in short, and which meters are a total.
var totals = []struct {
	name string
	docs []string
	want []string // meters with a headline, "id scope"
}{
	{
		"a power shelf without power equipment, whose PowerState is a boolean (LiteOn, GB200)",
		append(append([]string{
			`/Chassis/powershelf {"PowerState": true, "Manufacturer": "LITE-ON TECHNOLOGY CORP.", "PowerSubsystem": "->/Chassis/powershelf/PowerSubsystem"}`,
			`/Chassis/powershelf/PowerSubsystem {"PowerSupplies": "->/Chassis/powershelf/PowerSubsystem/PowerSupplies"}`,
		}, supply("/Chassis/powershelf/PowerSubsystem/PowerSupplies/0", 2000, 1950)...),
			supply("/Chassis/powershelf/PowerSubsystem/PowerSupplies/1", 2100, 2040)...),
		[]string{
			"Chassis/powershelf/PowerSubsystem/PowerSupplies/0/input rack", "Chassis/powershelf/PowerSubsystem/PowerSupplies/1/input rack",
		},
	},
	{
		"a host with power supplies only",
		append([]string{
			`/Chassis/1 {"ChassisType": "RackMount", "PowerSubsystem": "->/Chassis/1/PowerSubsystem"}`,
			`/Chassis/1/PowerSubsystem {"PowerSupplies": "->/Chassis/1/PowerSubsystem/PowerSupplies"}`,
		}, supply("/Chassis/1/PowerSubsystem/PowerSupplies/0", 2000, 1950)...),
		[]string{"Chassis/1/PowerSubsystem/PowerSupplies/0/input node"},
	},
	{
		"a host with the older Power: the first entry is the whole",
		[]string{
			`/Chassis/1 {"Power": "->/Chassis/1/Power"}`,
			`/Chassis/1/Power {"PowerControl": [{"PowerConsumedWatts": 344}, {"Name": "CPU", "PowerConsumedWatts": 120}]}`,
		},
		[]string{"Chassis/1/power node"},
	},
	{
		"an HGX host: the baseboard, modules and processors are parts of the host",
		[]string{
			`/Chassis/System {"ChassisType": "RackMount", "EnvironmentMetrics": "->/Chassis/System/E", "Links": {"ComputerSystems": ["->/Systems/1"]}}`,
			`/Chassis/System/E {"PowerWatts": {"Reading": 9000}}`,
			`/Chassis/HGX_Baseboard_0 {"EnvironmentMetrics": "->/Chassis/HGX_Baseboard_0/E", "Links": {"ContainedBy": "->/Chassis/System"}}`,
			`/Chassis/HGX_Baseboard_0/E {"PowerWatts": {"Reading": 7000}}`,
			`/Chassis/HGX_ProcessorModule_0 {"ChassisType": "Module", "EnvironmentMetrics": "->/Chassis/HGX_ProcessorModule_0/E"}`,
			`/Chassis/HGX_ProcessorModule_0/E {"PowerWatts": {"Reading": 2500}, "EnergyJoules": {"Reading": 12345.678}, "EnergykWh": {"Reading": 0.003}}`,
			`/Systems/HGX_Baseboard_0 {"Processors": "->/Systems/HGX_Baseboard_0/Processors"}`,
			`/Systems/HGX_Baseboard_0/Processors/GPU_0 {"EnvironmentMetrics": "->/Systems/HGX_Baseboard_0/Processors/GPU_0/E"}`,
			`/Systems/HGX_Baseboard_0/Processors/GPU_0/E {"PowerWatts": {"Reading": 700}}`,
		},
		[]string{"Chassis/System/power node"},
	},
	{
		"blades in an enclosure with a total",
		[]string{
			`/Chassis/Enclosure {"ChassisType": "Enclosure", "EnvironmentMetrics": "->/Chassis/Enclosure/E"}`,
			`/Chassis/Enclosure/E {"PowerWatts": {"Reading": 3000}}`,
			`/Chassis/Blade1 {"EnvironmentMetrics": "->/Chassis/Blade1/E", "Links": {"ContainedBy": "->/Chassis/Enclosure", "ComputerSystems": ["->/Systems/1"]}}`,
			`/Chassis/Blade1/E {"PowerWatts": {"Reading": 500}}`,
		},
		[]string{"Chassis/Enclosure/power node"},
	},
	{
		"a chassis that holds no computer beside one that does",
		[]string{
			`/Chassis/A {"EnvironmentMetrics": "->/Chassis/A/E"}`,
			`/Chassis/A/E {"PowerWatts": {"Reading": 300}}`,
			`/Chassis/Host {"EnvironmentMetrics": "->/Chassis/Host/E", "Links": {"ComputerSystems": ["->/Systems/1"]}}`,
			`/Chassis/Host/E {"PowerWatts": {"Reading": 500}}`,
		},
		[]string{"Chassis/Host/power node"},
	},
	{
		"two chassis that hold the same computer",
		[]string{
			`/Chassis/A {"EnvironmentMetrics": "->/Chassis/A/E", "Links": {"ComputerSystems": ["->/Systems/1"]}}`,
			`/Chassis/A/E {"PowerWatts": {"Reading": 500}}`,
			`/Chassis/B {"EnvironmentMetrics": "->/Chassis/B/E", "Links": {"ComputerSystems": ["->/Systems/1"]}}`,
			`/Chassis/B/E {"PowerWatts": {"Reading": 500}}`,
		},
		[]string{"Chassis/A/power node"},
	},
	{
		"a shelf without total: its mains are the rack, its chassis is the same",
		[]string{
			`/PowerEquipment {"PowerShelves": "->/PowerEquipment/PowerShelves"}`,
			`/PowerEquipment/PowerShelves/1 {"Mains": "->/PowerEquipment/PowerShelves/1/Mains", "Links": {"Chassis": ["->/Chassis/S"]}}`,
			`/PowerEquipment/PowerShelves/1/Mains/AC1 {"PowerWatts": {"Reading": 900}}`,
			`/PowerEquipment/PowerShelves/1/Mains/AC2 {"PowerWatts": {"Reading": 800}}`,
			`/Chassis/S {"EnvironmentMetrics": "->/Chassis/S/E"}`,
			`/Chassis/S/E {"PowerWatts": {"Reading": 1700}}`,
		},
		[]string{"PowerShelves/1/Mains/AC1/power rack", "PowerShelves/1/Mains/AC2/power rack"},
	},
	{
		"a shelf whose chassis alone has power supplies",
		append([]string{
			`/PowerEquipment {"PowerShelves": "->/PowerEquipment/PowerShelves"}`,
			`/PowerEquipment/PowerShelves/1 {"Links": {"Chassis": ["->/Chassis/S"]}}`,
			`/Chassis/S {"PowerSubsystem": "->/Chassis/S/PowerSubsystem"}`,
			`/Chassis/S/PowerSubsystem {"PowerSupplies": "->/Chassis/S/PowerSubsystem/PowerSupplies"}`,
		}, supply("/Chassis/S/PowerSubsystem/PowerSupplies/1", 2000, 1950)...),
		[]string{"Chassis/S/PowerSubsystem/PowerSupplies/1/input rack"},
	},
	{
		"a BMC that knows a module and a sensor under two names",
		[]string{
			`/Chassis/M {"ChassisType": "Module", "EnvironmentMetrics": "->/Chassis/M/E"}`,
			`/Chassis/M/E {"PowerWatts": {"Reading": 2500}}`,
			`/Chassis/Host1 {"EnvironmentMetrics": "->/Chassis/Host1/E"}`,
			`/Chassis/Host1/E {"PowerWatts": {"Reading": 700, "DataSourceUri": "/redfish/v1/Sensor"}}`,
			`/Systems/1 {"Processors": "->/Systems/1/Processors"}`,
			`/Systems/1/Processors/GPU {"EnvironmentMetrics": "->/Systems/1/Processors/GPU/E"}`,
			`/Systems/1/Processors/GPU/E {"PowerWatts": {"Reading": 700, "DataSourceUri": "/redfish/v1/Sensor"}}`,
		},
		[]string{"Chassis/Host1/power node"},
	},
	{
		"a shelf that a rack PDU of the same service feeds",
		[]string{
			`/PowerEquipment {"PowerShelves": "->/PowerEquipment/PowerShelves", "RackPDUs": "->/PowerEquipment/RackPDUs"}`,
			`/PowerEquipment/RackPDUs/1 {"Metrics": "->/PowerEquipment/RackPDUs/1/Metrics"}`,
			`/PowerEquipment/RackPDUs/1/Metrics {"PowerWatts": {"Reading": 1000}}`,
			`/PowerEquipment/PowerShelves/1 {"Metrics": "->/PowerEquipment/PowerShelves/1/Metrics", "Mains": "->/PowerEquipment/PowerShelves/1/Mains"}`,
			`/PowerEquipment/PowerShelves/1/Metrics {"PowerWatts": {"Reading": 900}}`,
			`/PowerEquipment/PowerShelves/1/Mains/A {"Links": {"PowerOutlet": "->/PowerEquipment/RackPDUs/1/Outlets/7"}}`,
		},
		[]string{"RackPDUs/1/power rack"},
	},
	{
		"a floor PDU beside the rack PDU that it feeds",
		[]string{
			`/PowerEquipment {"FloorPDUs": "->/PowerEquipment/FloorPDUs", "RackPDUs": "->/PowerEquipment/RackPDUs"}`,
			`/PowerEquipment/FloorPDUs/1 {"Metrics": "->/PowerEquipment/FloorPDUs/1/Metrics"}`,
			`/PowerEquipment/FloorPDUs/1/Metrics {"PowerWatts": {"Reading": 90000}}`,
			`/PowerEquipment/RackPDUs/1 {"Metrics": "->/PowerEquipment/RackPDUs/1/Metrics"}`,
			`/PowerEquipment/RackPDUs/1/Metrics {"PowerWatts": {"Reading": 1000}}`,
		},
		[]string{"RackPDUs/1/power rack"},
	},
	{
		"floor PDUs and buses alone: the floor PDU is the nearest",
		[]string{
			`/PowerEquipment {"FloorPDUs": "->/PowerEquipment/FloorPDUs", "ElectricalBuses": "->/PowerEquipment/ElectricalBuses"}`,
			`/PowerEquipment/FloorPDUs/1 {"Metrics": "->/PowerEquipment/FloorPDUs/1/Metrics"}`,
			`/PowerEquipment/FloorPDUs/1/Metrics {"PowerWatts": {"Reading": 90000}}`,
			`/PowerEquipment/ElectricalBuses/B {"Metrics": "->/PowerEquipment/ElectricalBuses/B/Metrics"}`,
			`/PowerEquipment/ElectricalBuses/B/Metrics {"PowerWatts": {"Reading": 80000}}`,
		},
		[]string{"FloorPDUs/1/power rack"},
	},
}
