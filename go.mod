module traffic_management

go 1.26
